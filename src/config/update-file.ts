import {stat} from 'node:fs/promises'
import {PRIVATE_FILE_MODE, writeFileAtomic} from '../base/files.ts'
import {readConfigFile} from './read-file.ts'
import {removeYamlKey, setYamlKey, type YamlValue} from './yaml-rewrite.ts'

/**
 * Sets keys of a configuration file, or removes them (undefined); comments and order stay. The file is replaced as a whole and keeps its
 * mode; a new one belongs to the owner alone. Two writers at the same time: the last one wins.
 *
 * @throws RegistryError `REG_CONFIG_INVALID` when the file is not one that can be changed key by key; it is then as it was.
 */
export async function updateConfigFile(
  file: string,
  changes: Readonly<Record<string, YamlValue | undefined>>,
): Promise<void> {
  const before = await readConfigFile(file)
  let text = before ?? ''
  for (const [key, value] of Object.entries(changes)) {
    text = value === undefined ? removeYamlKey(text, key, file) : setYamlKey(text, key, value, file)
  }
  if (text === (before ?? '')) return
  const mode = before === undefined ? PRIVATE_FILE_MODE : (await stat(file)).mode & 0o777
  await writeFileAtomic(file, text, mode)
}
