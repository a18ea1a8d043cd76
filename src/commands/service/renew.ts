import {Args} from '@oclif/core'
import {withService} from '../../cli/find-service.ts'
import {printable} from '../../cli/printable.ts'
import {askFlags, RegistryCommand} from '../../cli/registry-command.ts'

export default class ServiceRenew extends RegistryCommand {
  static override readonly summary = 'Renew the lease of a service once.'
  static override readonly exits = {3: 'no such service', 5: 'several have this name'}
  static override readonly args = {
    id: Args.string({description: 'Its id, or its name if only one has it.', required: true}),
  }
  static override readonly examples = [
    {description: 'Renew a service by its name.', command: '<%= config.bin %> <%= command.id %> cam1'},
    {
      description: 'Renew by id on another registry.',
      command: '<%= config.bin %> <%= command.id %> cam-east --url zmq://127.0.0.1:5556',
    },
  ]
  static override readonly flags = askFlags

  async run(): Promise<{id: string}> {
    const {args, flags} = await this.parse(ServiceRenew)
    await using client = await this.connect(flags)
    const id = await withService(client, args.id, (found) => client.renew(found).then(() => found))
    return this.show({id}, () => printable(`renewed ${id}`))
  }
}
