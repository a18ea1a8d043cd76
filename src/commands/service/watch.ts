import {Flags} from '@oclif/core'
import {LONGEST_TIMER_MS} from '../../base/clock.ts'
import {durationFlag} from '../../cli/flags.ts'
import {askFlags, RegistryCommand} from '../../cli/registry-command.ts'
import {filterFlags, filterOf} from '../../cli/service-flags.ts'
import {logWatchLines, watchLines} from '../../cli/watch-lines.ts'

export default class ServiceWatch extends RegistryCommand {
  static override readonly summary = 'Print the services that are there, then every change.'
  static override readonly description =
    `First a line "present" for each service and "synced"; then registered, changed, deregistered, expired, gone
(not there any more, or not matching any more). After "disconnected", what was missed follows as soon as the registry is back, and "synced".
With --since every change is read from the change log, from that offset on: none is left out and none said twice, also over a restart of the registry or of this
command. Each has its offset; one more is where the next run begins, and --json ends with it as "next". Who made a change is not told: registry service
history is for that.`
  static override readonly exits = {
    5: 'with --since: what comes next was trimmed from the change log, or the log is shorter',
  }
  static override readonly examples = [
    {description: 'Watch the cameras until Ctrl-C.', command: '<%= config.bin %> <%= command.id %> --type camera'},
    {
      description: 'Take a look of two seconds, one JSON value per line.',
      command: '<%= config.bin %> <%= command.id %> --for 2s --json',
    },
    {
      description: 'Go on where the run before has stopped, at offset 0 of the change log.',
      command: '<%= config.bin %> <%= command.id %> --since 0 --for 1s --json',
    },
  ]
  static override readonly flags = {
    ...filterFlags,
    since: Flags.integer({
      summary: 'Every change from this offset of the change log on, instead of what is there.',
      helpValue: '<offset>',
      min: 0,
      exclusive: ['health'],
    }),
    for: durationFlag({summary: 'End after so long; without it, at Ctrl-C.'}),
    refresh: durationFlag({
      summary: 'Ask for everything again so often, for what no event tells, as health; 10s unless given.',
    }),
    ...askFlags,
  }

  async run(): Promise<void> {
    const {flags} = await this.parse(ServiceWatch)
    await using client = await this.connect(flags)
    const [filter, options] = [filterOf(flags), {signal: this.signal, refreshMs: flags.refresh}]
    await using watch =
      flags.since === undefined
        ? client.watch(filter, options)
        : client.watchLog(filter, {...options, since: flags.since})
    const timer =
      flags.for === undefined ? undefined : setTimeout(() => void watch.close(), Math.min(flags.for, LONGEST_TIMER_MS))
    try {
      const lines = 'next' in watch ? logWatchLines(watch) : watchLines(watch)
      await this.stream<{text(): string}, object>(lines, (line) => line.text())
    } finally {
      clearTimeout(timer)
    }
  }
}
