import {LONGEST_TIMER_MS, systemClock} from '../../base/clock.ts'
import {durationFlag} from '../../cli/flags.ts'
import {printable} from '../../cli/printable.ts'
import {askFlags, RegistryCommand} from '../../cli/registry-command.ts'
import {localTime} from '../../cli/render.ts'
import {filterFlags, filterOf} from '../../cli/service-flags.ts'
import {exactService, serviceLine} from '../../cli/service-text.ts'
import type {WatchEvent} from '../../client/watch.ts'

export default class ServiceWatch extends RegistryCommand {
  static override readonly summary = 'Print the services that are there, then every change.'
  static override readonly description =
    `First a line "present" for each service and "synced"; then registered, changed, deregistered, expired, gone
(not there any more, or not matching any more). After "disconnected", what was missed follows as soon as the registry is back, and "synced".`
  static override readonly examples = [
    {description: 'Watch the cameras until Ctrl-C.', command: '<%= config.bin %> <%= command.id %> --type camera'},
    {
      description: 'Take a look of ten seconds, one JSON value per line.',
      command: '<%= config.bin %> <%= command.id %> --for 10s --json',
    },
  ]
  static override readonly flags = {
    ...filterFlags,
    for: durationFlag({summary: 'End after so long; without it, at Ctrl-C.'}),
    refresh: durationFlag({
      summary: 'Ask for everything again so often, for what no event tells, as health; 10s unless given.',
    }),
    ...askFlags,
  }

  async run(): Promise<void> {
    const {flags} = await this.parse(ServiceWatch)
    await using client = await this.connect(flags)
    await using watch = client.watch(filterOf(flags), {signal: this.signal, refreshMs: flags.refresh})
    const timer =
      flags.for === undefined ? undefined : setTimeout(() => void watch.close(), Math.min(flags.for, LONGEST_TIMER_MS))
    try {
      await this.stream(linesOf(watch), (line) => line.text())
    } finally {
      clearTimeout(timer)
    }
  }
}

/** One event as it is printed: as an object under `--json`, else as text. */
class Line {
  readonly #event: WatchEvent
  readonly #atMs = systemClock.wallMs()

  constructor(event: WatchEvent) {
    this.#event = event
  }

  toJSON(): object {
    const event = this.#event
    const at = new Date(this.#atMs).toISOString()
    switch (event.kind) {
      case 'synced':
        return {event: event.kind, at, services: event.services}
      case 'disconnected':
        return {event: event.kind, at, reason: event.reason}
      case 'changed':
        return {event: event.kind, at, service: exactService(event.service), before: exactService(event.before)}
      default:
        return {event: event.kind, at, service: exactService(event.service)}
    }
  }

  text(): string {
    const event = this.#event
    return printable(`${localTime(this.#atMs)}  ${event.kind.padEnd(KIND_WIDTH)}  ${aboutOf(event)}`)
  }
}

const KIND_WIDTH = 'disconnected'.length

function aboutOf(event: WatchEvent): string {
  switch (event.kind) {
    case 'synced':
      return `${event.services} ${event.services === 1 ? 'service' : 'services'}`
    case 'disconnected':
      return event.reason
    default:
      return serviceLine(event.service)
  }
}

async function* linesOf(watch: AsyncIterable<WatchEvent>): AsyncGenerator<Line, {events: number}> {
  let events = 0
  for await (const event of watch) {
    events += 1
    yield new Line(event)
  }
  return {events}
}
