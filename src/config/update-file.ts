import {realpath, stat} from 'node:fs/promises'
import {PRIVATE_FILE_MODE, writeFileAtomic} from '../base/files.ts'
import {readConfigFile} from './read-file.ts'
import type {YamlValue} from './yaml-rewrite.ts'

/**
 * Sets keys of a configuration file, or removes them (undefined); comments and order stay. The file is replaced as a whole, where a link
 * leads when it is one, and keeps its mode; a new one belongs to the owner alone. Two writers at the same time: the last one wins.
 *
 * @throws RegistryError `REG_CONFIG_INVALID` when the file is not one that can be changed key by key; it is then as it was.
 */
export async function updateConfigFile(
  file: string,
  changes: Readonly<Record<string, YamlValue | undefined>>,
): Promise<void> {
  const before = await readConfigFile(file)
  await replaceText(file, before, await editConfigText(before ?? '', changes, file))
}

/** Does to a text what `updateConfigFile` does to a file; `file` names it in errors. Throws as that. */
export async function editConfigText(
  text: string,
  changes: Readonly<Record<string, YamlValue | undefined>>,
  file: string,
): Promise<string> {
  const {removeYamlKey, setYamlKey} = await yamlRewriter()
  let edited = text
  for (const [key, value] of Object.entries(changes)) {
    edited = value === undefined ? removeYamlKey(edited, key, file) : setYamlKey(edited, key, value, file)
  }
  return edited
}

/**
 * Adds texts to the list of a key, those that are not in it; keys of `missing` are set where they are not there. Gives the texts that were added.
 * All else as `updateConfigFile`.
 */
export async function addConfigItems(
  file: string,
  key: string,
  items: readonly string[],
  missing: Readonly<Record<string, YamlValue>>,
): Promise<readonly string[]> {
  const before = await readConfigFile(file)
  const {addYamlItems, plainMapping} = await yamlRewriter()
  const conf = plainMapping(before ?? '', file)
  const list = conf[key] ?? []
  const known: readonly unknown[] = Array.isArray(list) ? list : [list]
  const added = items.filter((item) => !known.includes(item))
  const absent = Object.fromEntries(Object.entries(missing).filter(([name]) => !Object.hasOwn(conf, name)))
  const text = await editConfigText(before ?? '', absent, file)
  await replaceText(file, before, added.length === 0 ? text : addYamlItems(text, key, added, file))
  return added
}

/** Few servers ever change a file: the parser of all of YAML takes 1 MB of every one that has it. */
function yamlRewriter(): Promise<typeof import('./yaml-rewrite.ts')> {
  return import('./yaml-rewrite.ts')
}

async function replaceText(file: string, before: string | undefined, text: string): Promise<void> {
  if (text === (before ?? '')) return
  if (before === undefined) return await writeFileAtomic(file, text, PRIVATE_FILE_MODE)
  // A link stays one: some keep such files elsewhere.
  const place = await realpath(file)
  await writeFileAtomic(place, text, (await stat(place)).mode & 0o777)
}
