import {Args} from '@oclif/core'
import {CellCommand, cellFlags} from '../cli/cell-command.ts'
import {resume} from '../client/freeze.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'

/** What `resume` answers under `--json`. */
export interface ResumeReport {
  readonly url: string
  readonly frozen: false
}

export default class Resume extends CellCommand {
  static override readonly summary = 'Let the changes of a service go on that was frozen.'
  static override readonly description =
    'It ends with 5 when the service is not frozen any more: the freeze has ended by itself, and changes may have been written while the snapshot was taken.'
  static override readonly exits = {5: 'it is not frozen'}
  static override readonly args = {url: Args.string({description: 'Registry or service to resume, instead of --url.'})}
  static override readonly examples = [
    {description: 'Let the registry of this machine go on.', command: '<%= config.bin %> <%= command.id %>'},
    {description: 'Let a Cortex go on.', command: '<%= config.bin %> <%= command.id %> aha://cortex...'},
  ]
  static override readonly flags = {...cellFlags}

  async run(): Promise<ResumeReport> {
    const {args, flags} = await this.parse(Resume)
    const {url, cell} = await this.openFirst(await this.chooseUrls('cell', flags, args.url), flags)
    await using _ends = cell
    const place = sanitizeUrl(url)
    await resume(cell, {place, timeoutMs: flags.timeout, signal: this.signal})
    return this.show({url: place, frozen: false}, () => 'changes go on')
  }
}
