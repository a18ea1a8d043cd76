import {Args, Flags} from '@oclif/core'
import {CellCommand, cellFlags} from '../../cli/cell-command.ts'
import {type EventReport, eventLine, eventReport, sinceOf} from '../../cli/history-text.ts'
import {type HistoryWish, readHistory, type ServiceEvent} from '../../client/history.ts'

/** Without any other limit, a screen or two. */
const LAST = 100
const MOST = 10_000

export default class ServiceHistory extends CellCommand {
  static override readonly summary = 'Print what happened to services: when, what, who did it, and from where.'
  static override readonly description =
    `Services at the ZeroMQ ports (registered, deregistered, expired, maintenance), in AHA (up, ready, not ready, down, removed), and one-time URLs
of services with the certificates that were signed for them. The newest comes last. It reads the change log of the registry, over its cell: a
trimmed log begins later. Over ZeroMQ nobody says who he is: the routing id of the connection is all that is known.`
  static override readonly args = {
    service: Args.string({description: 'Name or id of a service; without it, all.'}),
  }
  static override readonly examples = [
    {description: 'See who took a camera away.', command: '<%= config.bin %> <%= command.id %> cam1'},
    {
      description: 'Follow up on a day, one JSON value per line.',
      command: '<%= config.bin %> <%= command.id %> --since 2026-11-20 --json',
    },
    {
      description: 'See what only an old leader had, before it was made a mirror again.',
      command: '<%= config.bin %> <%= command.id %> --file ./lab/lost-1-20261121T124500Z.jsonl',
    },
  ]
  static override readonly flags = {
    limit: Flags.integer({
      summary: `Only so many of the newest; ${LAST} unless this or --since is given.`,
      min: 1,
      max: MOST,
    }),
    since: Flags.string({
      summary: 'Only from this offset of the change log, or this time, on.',
      helpValue: '<offset>|<time>',
    }),
    file: Flags.string({
      summary: 'Read the entries that registry rejoin saved in a file, instead of asking a registry.',
      helpValue: '<file>',
      exclusive: ['url', 'dir'],
    }),
    ...cellFlags,
  }

  async run(): Promise<void> {
    const {args, flags} = await this.parse(ServiceHistory)
    const {limit, since, file} = flags
    const last = limit ?? (since === undefined ? LAST : undefined)
    const wish = {service: args.service, last, ...(since === undefined ? {} : sinceOf(since))}
    await using cell = file === undefined ? await this.openCell(flags) : undefined
    const events = cell === undefined ? await historyIn(file ?? '', wish) : readHistory(cell, wish, this.signal)
    await this.stream(
      lines(events, () => this.say('the change log tells nothing of that')),
      (line) => line.text(),
    )
  }
}

/** One event as it is printed: as an object under `--json`, else as text. */
class Line {
  readonly #event: ServiceEvent

  constructor(event: ServiceEvent) {
    this.#event = event
  }

  toJSON(): EventReport {
    return eventReport(this.#event)
  }

  text(): string {
    return eventLine(this.#event)
  }
}

async function historyIn(file: string, wish: HistoryWish): Promise<AsyncIterable<ServiceEvent>> {
  const {readLostHistory} = await import('../../server/lost-history.ts')
  return readLostHistory(file, wish)
}

async function* lines(events: AsyncIterable<ServiceEvent>, onNone: () => void): AsyncGenerator<Line, {events: number}> {
  let count = 0
  for await (const event of events) {
    count += 1
    yield new Line(event)
  }
  if (count === 0) onNone()
  return {events: count}
}
