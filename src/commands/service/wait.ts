import {Flags} from '@oclif/core'
import {formatDuration} from '../../base/duration.ts'
import {durationFlag, registryFlags} from '../../cli/flags.ts'
import {RegistryCommand} from '../../cli/registry-command.ts'
import {filterFlags, filterOf} from '../../cli/service-flags.ts'
import {exactService, serviceTable} from '../../cli/service-text.ts'
import {waitForServices} from '../../cli/wait-for-services.ts'

interface Waited {
  readonly ok: boolean
  readonly services: readonly Readonly<Record<string, unknown>>[]
}

const DEFAULT_TIMEOUT_MS = 30_000

export default class ServiceWait extends RegistryCommand {
  static override readonly summary = 'Wait until enough healthy services are there.'
  static override readonly description =
    `For scripts. Ends with 0 and the services as soon as there are enough, with 8 and those that are there when the time is
over, with 6 when no registry answered in that time: it may come up meanwhile. Only passing services count unless --health says otherwise.`
  static override readonly exits = {6: 'no registry answered in the time', 8: 'not enough services in the time'}
  static override readonly examples = [
    {
      description: 'Go on when two cameras are there.',
      command: '<%= config.bin %> <%= command.id %> --type camera --count 2 --timeout 30s',
    },
    {
      description: 'Wait for one service of a name.',
      command: '<%= config.bin %> <%= command.id %> --name cam1 --timeout 1m --json',
    },
  ]
  static override readonly flags = {
    ...filterFlags,
    count: Flags.integer({summary: 'How many there must be.', min: 1, default: 1}),
    timeout: durationFlag({summary: 'Longest wait for the services; 30s unless given.'}),
    ...registryFlags,
  }

  async run(): Promise<Waited> {
    const {flags} = await this.parse(ServiceWait)
    const {count} = flags
    const timeoutMs = flags.timeout ?? DEFAULT_TIMEOUT_MS
    // The limit is that of the whole wait; a single request has its own.
    await using client = await this.connect({url: flags.url, dir: flags.dir})
    using progress = await this.progress(`waiting for ${count} ${count === 1 ? 'service' : 'services'}`)
    const found = await waitForServices(client, {
      filter: filterOf({...flags, health: flags.health ?? 'passing'}),
      count,
      timeoutMs,
      signal: this.signal,
      onCount: (now) => progress.say(`${now} of ${count} ${count === 1 ? 'service' : 'services'}`),
    })
    if (!found.ok) {
      this.sayNo()
      this.say(`only ${found.services.length} of ${count} after ${formatDuration(timeoutMs)}`)
    }
    if (found.services.length > 0) this.show(found.services, serviceTable)
    return {ok: found.ok, services: this.jsonEnabled() ? found.services.map(exactService) : []}
  }
}
