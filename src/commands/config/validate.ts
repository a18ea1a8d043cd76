import {Args} from '@oclif/core'
import {BaseCommand} from '../../cli/base-command.ts'
import {dataDirOf, readEnvironment} from '../../config/environment.ts'
import type {ConfigWarning} from '../../config/layers.ts'

interface Validated {
  readonly ok: true
  readonly dir: string
  /** Configuration files that are there. */
  readonly files: readonly string[]
  readonly warnings: readonly ConfigWarning[]
}

export default class ConfigValidate extends BaseCommand {
  static override readonly summary = 'Check the configuration and name everything that is wrong with it.'
  static override readonly description =
    `Checks what a registry on the data directory would read if it started now, with this environment and
without flags. Exit status 2 means that it would not start.`
  static override readonly args = {
    dir: Args.string({description: 'Data directory. Without it: REGISTRY_DIR, else ~/.local/share/registry.'}),
  }
  static override readonly examples = [
    {description: 'Check the default directory.', command: '<%= config.bin %> <%= command.id %>'},
    {description: 'Check another one, for a program.', command: '<%= config.bin %> <%= command.id %> ./lab --json'},
  ]

  async run(): Promise<Validated> {
    const {args} = await this.parse(ConfigValidate)
    const {inspectConf, invalid} = await import('../../config/load.ts')
    const dir = dataDirOf(args.dir, readEnvironment())
    const {problems, warnings, files} = await inspectConf({dir})
    if (problems.length > 0) throw invalid(problems)
    for (const {message} of warnings) this.say(`warning: ${message}`)
    return this.show({ok: true, dir, files, warnings}, validText)
  }
}

function validText({dir, files}: Validated): string {
  return files.length > 0
    ? `The configuration is valid (${files.join(', ')}).`
    : `The configuration is valid. There is neither cell.yaml nor cell.mods.yaml in ${dir}.`
}
