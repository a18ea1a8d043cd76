import {Args, Flags} from '@oclif/core'
import type {RegistryError} from '../base/errors.ts'
import {CellCommand, cellFlags} from '../cli/cell-command.ts'
import {exitOf} from '../cli/error-report.ts'
import {durationFlag} from '../cli/flags.ts'
import {withLogCheck} from '../cli/log-check.ts'
import {statusText, watchStatus} from '../cli/registry-status.ts'
import {type Look, lookAtCell, lookAtRegistry} from '../cli/status-look.ts'
import type {RegistryStatus} from '../cli/status-report.ts'

const INTERVAL_MS = 2000

export default class Status extends CellCommand {
  static override readonly summary =
    'Show how a registry or any Synapse service is: health, role, versions, uptime, counts.'
  static override readonly description =
    `Takes zmq:// for the ZeroMQ port of a registry, the Python one too, which tells less, and cell://, unix://, tcp://, ssl:// and aha:// for cells. A cell
that does not let you ask for its health or its users is shown without them. Of a service that AHA knows, its leader and its mirrors are shown, each
asked directly: that needs a user there, and no more rights; without one, what AHA knows of them is shown. An AHA is shown with the services of its network. With --watch it goes on, also while the registry is away or refuses.`
  static override readonly exits = {8: 'it is degraded or failed, or its change log is damaged, with --verify'}
  static override readonly args = {url: Args.string({description: 'Registry or cell to look at, instead of --url.'})}
  static override readonly examples = [
    {description: 'Show the registry of this machine.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'Check another one in a script.',
      command: '<%= config.bin %> <%= command.id %> zmq://127.0.0.1:5556 --verify --json',
    },
    {description: 'Look at an Axon.', command: '<%= config.bin %> <%= command.id %> cell:///srv/axon'},
    {
      description: 'See who leads a Cortex, and how far its mirrors are behind.',
      command: '<%= config.bin %> <%= command.id %> aha://cortex...',
    },
  ]
  static override readonly flags = {
    // Without a default: `dependsOn` counts one as given.
    watch: Flags.boolean({summary: 'Show it again and again, until Ctrl-C.'}),
    interval: durationFlag({summary: 'Time between two looks with --watch; 2s unless given.', dependsOn: ['watch']}),
    verify: Flags.boolean({
      summary: 'Have a registry check its whole change log too, and exit with 8 when anything is degraded or failed.',
      default: false,
      exclusive: ['watch'],
    }),
    ...cellFlags,
  }

  async run(): Promise<RegistryStatus | undefined> {
    const {args, flags} = await this.parse(Status)
    const urls = await this.chooseUrls('any', flags, args.url)
    await using at = await this.#at(urls, flags)
    if (flags.watch) {
      const looks = watchStatus(urls[0], {
        look: at.look,
        refused: (error) => this.#refusedLook(error, urls[0]),
        intervalMs: flags.interval ?? INTERVAL_MS,
        signal: this.signal,
      })
      // On a terminal each look takes the place of the one before.
      const clear = process.stdout.isTTY ? '\x1b[H\x1b[2J' : ''
      await this.stream(looks, (status) => `${clear}${statusText(status)}\n`)
      return undefined
    }
    const looked = await at.look().catch((error: unknown) => this.#refused(error, urls[0]))
    if (looked.status === 'refused') return this.show(looked, statusText)
    const status = flags.verify ? withLogCheck(looked, await at.check()) : looked
    if (flags.verify && status.status !== 'ok') this.sayNo()
    return this.show(status, statusText)
  }

  /** Of a service that does not let the caller in, AHA may know something; the exit status is that of the refusal. */
  async #refused(error: unknown, url: string): Promise<RegistryStatus> {
    const {isRefusal, refusedStatus} = await import('../cli/refused-status.ts')
    if (!isRefusal(error)) throw error
    await using env = await this.openEnv(url)
    const status = await refusedStatus(url, error, env, this.signal)
    process.exitCode = exitOf(error)
    return status
  }

  async #refusedLook(error: RegistryError, url: string): Promise<RegistryStatus | undefined> {
    const {refusedLook} = await import('../cli/refused-status.ts')
    return await refusedLook(url, error, () => this.openEnv(url), this.signal)
  }

  async #at(urls: readonly [string, ...string[]], flags: {readonly timeout?: number | undefined}): Promise<Look> {
    const [url] = urls
    if (!url.toLowerCase().startsWith('zmq:')) {
      const {groupReader} = await import('../cli/group-reader.ts')
      const group = groupReader(url, () => this.openEnv(url), {timeoutMs: flags.timeout, signal: this.signal})
      return lookAtCell(() => this.openFirst(urls, flags), this.signal, group)
    }
    const {RegistryClient} = await import('../client/registry-client.ts')
    const options = {timeoutMs: flags.timeout, signal: this.signal, name: 'registry-cli'}
    return lookAtRegistry(new RegistryClient(url, options))
  }
}
