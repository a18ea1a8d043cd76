import {join} from 'node:path'
import {updateConfigFile} from '../config/update-file.ts'
import type {YamlValue} from '../config/yaml-rewrite.ts'

/** The file in the data directory that is stronger than all other configuration. */
const MODS_FILE = 'cell.mods.yaml'

/** What a running cell changes in its own configuration, so that it holds after a restart. One change after the other. */
export class ModsFile {
  readonly #path: string
  #last: Promise<void> = Promise.resolve()

  constructor(dir: string) {
    this.#path = join(dir, MODS_FILE)
  }

  /**
   * Sets options, or takes them out (undefined); resolves when the file is on disk.
   *
   * @throws RegistryError `REG_CONFIG_INVALID` when the file is not one that can be changed; it is then as it was
   */
  set(changes: Readonly<Record<string, YamlValue | undefined>>): Promise<void> {
    const done = this.#last.then(() => updateConfigFile(this.#path, changes))
    this.#last = done.catch(() => {}) // he who asked hears of it
    return done
  }
}
