import {Args, Flags} from '@oclif/core'
import {durationFlag} from '../cli/flags.ts'
import {askFlags, RegistryCommand} from '../cli/registry-command.ts'
import {type RegistryStatus, readStatus, statusText, watchStatus} from '../cli/registry-status.ts'

const INTERVAL_MS = 2000

export default class Status extends RegistryCommand {
  static override readonly summary = 'Show how a registry is: version, listeners, counts, store.'
  static override readonly description =
    `Works with the Python registry too, which tells less. With --watch it goes on, also while the registry is away.`
  static override readonly exits = {8: 'it is degraded, with --verify'}
  static override readonly args = {url: Args.string({description: 'Registry to look at, instead of --url.'})}
  static override readonly examples = [
    {description: 'Show the registry of this machine.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'Check another one in a script.',
      command: '<%= config.bin %> <%= command.id %> zmq://127.0.0.1:5556 --verify --json',
    },
  ]
  static override readonly flags = {
    watch: Flags.boolean({summary: 'Show it again and again, until Ctrl-C.', default: false}),
    interval: durationFlag({summary: 'Time between two looks with --watch; 2s unless given.', dependsOn: ['watch']}),
    verify: Flags.boolean({
      summary: 'Exit with 8 when the registry is degraded.',
      default: false,
      exclusive: ['watch'],
    }),
    ...askFlags,
  }

  async run(): Promise<RegistryStatus | undefined> {
    const {args, flags} = await this.parse(Status)
    await using client = await this.connect(flags, args.url)
    if (flags.watch) {
      const looks = watchStatus(client, flags.interval ?? INTERVAL_MS, this.signal)
      // On a terminal each look takes the place of the one before.
      const clear = process.stdout.isTTY ? '\x1b[H\x1b[2J' : ''
      await this.stream(looks, (status) => `${clear}${statusText(status)}\n`)
      return undefined
    }
    const status = await readStatus(client)
    if (flags.verify && status.status !== 'ok') this.sayNo()
    return this.show(status, statusText)
  }
}
