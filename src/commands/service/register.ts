import {formatDuration} from '../../base/duration.ts'
import {printable} from '../../cli/printable.ts'
import {askFlags, RegistryCommand} from '../../cli/registry-command.ts'
import {infoFlags, infoOf, ttlSeconds} from '../../cli/service-flags.ts'

export default class ServiceRegister extends RegistryCommand {
  static override readonly summary = 'Register a service once and print its id.'
  static override readonly description =
    `The entry ends with its lease unless it is renewed: service renew does that once, and service run keeps
the registration of a program for as long as it runs.`
  static override readonly exits = {5: 'the type must be unique and another has it', 7: 'timed out, or not confirmed'}
  static override readonly examples = [
    {
      description: 'Register a camera on this machine.',
      command: '<%= config.bin %> <%= command.id %> --name cam1 --type camera --port 5000',
    },
    {
      description: 'Register a service elsewhere under an id of its own, with metadata, for an hour.',
      command:
        '<%= config.bin %> <%= command.id %> --id cam-east --name cam2 --type camera --host 192.0.2.7 --port 5000 --metadata building=4 --ttl 1h',
    },
  ]
  static override readonly flags = {...infoFlags, ...askFlags}

  async run(): Promise<{id: string}> {
    const {flags} = await this.parse(ServiceRegister)
    await using client = await this.connect(flags)
    const {ownAddressTowards} = await import('../../client/own-address.ts')
    const host = flags.host ?? (await ownAddressTowards(client.address))
    const id = await client.register({...infoOf(flags), host}, {ttlS: ttlSeconds(flags.ttl)})
    this.say(
      `registered ${flags.name} at ${host}:${flags.port} for ${formatDuration(flags.ttl ?? 30_000)}, with the id`,
    )
    return this.show({id}, () => printable(id))
  }
}
