import {Args} from '@oclif/core'
import {systemClock} from '../base/clock.ts'
import {CellCommand, cellFlags} from '../cli/cell-command.ts'
import {durationFlag} from '../cli/flags.ts'
import {localTime} from '../cli/render.ts'
import {freeze} from '../client/freeze.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'

/** What `freeze` answers under `--json`. */
export interface FreezeReport {
  readonly url: string
  readonly frozen: true
  /** When it ends by itself; null: never. */
  readonly until: string | null
}

export default class Freeze extends CellCommand {
  static override readonly summary =
    'Have the changes of a service wait, so that a snapshot of its volume can be taken.'
  static override readonly description =
    `When the command ends, all that was acknowledged is in the files and on the disk, and these stay as they are. Changes wait, reads and heartbeats go on, and
no service expires. A registry of this software ends the freeze by itself after --max, 120s unless given, at most 1h; a real Synapse service only when it is
resumed, or started again. Each service is frozen for itself: a leader, a mirror.`
  static override readonly exits = {
    5: 'it is frozen already, or ends no freeze by itself',
    7: 'the disk was not ready in time',
  }
  static override readonly args = {url: Args.string({description: 'Registry or service to freeze, instead of --url.'})}
  static override readonly examples = [
    {
      description: 'Take a snapshot of the volume of this registry.',
      command: '<%= config.bin %> <%= command.id %> --max 30s',
    },
    {description: 'Freeze a Cortex.', command: '<%= config.bin %> <%= command.id %> aha://cortex...'},
  ]
  static override readonly flags = {
    max: durationFlag({summary: 'The freeze ends by itself after this time; 120s unless given.'}),
    ...cellFlags,
  }

  async run(): Promise<FreezeReport> {
    const {args, flags} = await this.parse(Freeze)
    const {url, cell} = await this.openFirst(await this.chooseUrls('cell', flags, args.url), flags)
    await using _ends = cell
    const place = sanitizeUrl(url)
    const maxMs = await freeze(cell, {place, maxMs: flags.max, timeoutMs: flags.timeout, signal: this.signal})
    const until = maxMs === null ? null : new Date(systemClock.wallMs() + maxMs).toISOString()
    return this.show({url: place, frozen: true, until}, freezeText)
  }
}

function freezeText({url, until}: FreezeReport): string {
  const end = until === null ? 'it does not end by itself' : `it ends by itself at ${localTime(Date.parse(until))}`
  return `frozen: changes wait, ${end}\nafter the snapshot: registry resume ${url}`
}
