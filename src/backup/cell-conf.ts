/** Values of a cell's configuration files that a backup needs, ours or a Synapse service's. */
import {resolve} from 'node:path'
import {pathWithin} from '../base/files.ts'
import {readConfigFile} from '../config/read-file.ts'
import {YAML_LIMITS} from '../config/yaml-scalars.ts'

export interface CellConf {
  /** Full name of the service, `00.axon.prod.example.net`; null when it has none. */
  readonly name: string | null
  /** The `backup:dir`, relative to the data directory; undefined when it lies elsewhere, or is not set. */
  readonly backupDir: string | undefined
}

/** Reads cell.yaml and cell.mods.yaml, which goes before it. A file that cannot be read counts as empty: a backup can be made all the same. */
export async function readCellConf(dir: string): Promise<CellConf> {
  const conf = {...(await valuesOf(`${dir}/cell.yaml`)), ...(await valuesOf(`${dir}/cell.mods.yaml`))}
  const text = (name: string) => (typeof conf[name] === 'string' && conf[name] !== '' ? conf[name] : undefined)
  const [name, network, backups] = [text('aha:name'), text('aha:network'), text('backup:dir')]
  const within = backups === undefined ? undefined : await pathWithin(dir, resolve(dir, backups)).catch(() => undefined)
  return {
    name: name === undefined ? null : network === undefined ? name : `${name}.${network}`,
    backupDir: within === '' ? undefined : within,
  }
}

async function valuesOf(file: string): Promise<Record<string, unknown>> {
  try {
    const text = await readConfigFile(file)
    if (text === undefined) return {}
    const {plainValue, readYaml} = await import('../config/yaml.ts')
    const value = plainValue(readYaml(text, {source: file, maxBytes: YAML_LIMITS.fileBytes}))
    return typeof value === 'object' && value !== null ? {...value} : {}
  } catch {
    return {} // as the doc comment says
  }
}
