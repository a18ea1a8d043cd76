/** What being provisioned by an AHA does to the configuration of a service. */
import {join} from 'node:path'
import {RegistryError} from '../base/errors.ts'
import {type ConfSources, type ProvisionedConf, replacedBy} from './layers.ts'
import {inspectConf} from './load.ts'
import {readConfigFile} from './read-file.ts'
import {checkValue} from './schema.ts'
import {editConfigText, updateConfigFile} from './update-file.ts'
import type {YamlValue} from './yaml-rewrite.ts'

const FILES = ['cell.yaml', 'cell.mods.yaml'] as const

/**
 * Checks that the registry, whose identity is `guid`, could start with what an AHA gives it, and that its files can be changed so. Writes nothing.
 *
 * @throws RegistryError `REG_CONFIG_INVALID` that names everything that is wrong
 */
export async function checkProvisioned(
  sources: ConfSources,
  provisioned: ProvisionedConf,
  guid: string,
): Promise<void> {
  const {problems, conf} = await inspectConf({...sources, provisioned})
  const isOther = conf['cell:guid'] !== null && conf['cell:guid'] !== guid
  const texts = [
    ...problems.map(({message}) => message),
    ...(isOther ? [`cell:guid is not that of this data directory, ${guid}`] : []),
  ]
  if (texts.length > 0) {
    const text = `${provisioned.aha} gives this service a configuration that it cannot have: ${texts.join('; ')}`
    throw new RegistryError('REG_CONFIG_INVALID', text, {
      info: {aha: provisioned.aha, problems: texts},
      hints: [
        'registry provision service NAME, with a --cellyaml FILE that holds options of the registry only',
        'registry config explain OPTION',
      ],
    })
  }
  for (const name of FILES) {
    const file = join(sources.dir, name)
    await editConfigText((await readConfigFile(file)) ?? '', changesOf(name, provisioned), file)
  }
}

/** Writes what an AHA gives into the files of a data directory; comments and all else stay. Doing it again changes nothing. Throws as `updateConfigFile`. */
export async function writeProvisioned(dir: string, provisioned: ProvisionedConf): Promise<void> {
  for (const name of FILES) await updateConfigFile(join(dir, name), changesOf(name, provisioned))
}

/**
 * Checks the URLs of AHA servers that one of them has told, before they are written where the next start reads them.
 *
 * @throws RegistryError `REG_BAD_ANSWER`
 */
export function checkAhaUrls(urls: unknown): readonly string[] {
  const checked = checkValue('aha:registry', urls)
  if (checked.ok && Array.isArray(checked.value)) return checked.value
  throw new RegistryError('REG_BAD_ANSWER', 'the AHA has named servers that are no URLs')
}

function changesOf(
  name: (typeof FILES)[number],
  provisioned: ProvisionedConf,
): Readonly<Record<string, YamlValue | undefined>> {
  const removed = Object.fromEntries(replacedBy(provisioned).map((option) => [option, undefined]))
  // It is what JSON can hold: a value of YAML.
  return name === 'cell.yaml' ? {...removed, ...(provisioned.conf as Readonly<Record<string, YamlValue>>)} : removed
}
