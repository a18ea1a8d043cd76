import {Args} from '@oclif/core'
import {withService} from '../../cli/find-service.ts'
import {printable} from '../../cli/printable.ts'
import {askFlags, RegistryCommand} from '../../cli/registry-command.ts'

export default class ServiceDeregister extends RegistryCommand {
  static override readonly summary = 'Take a service out of the registry.'
  static override readonly description =
    'A service that still runs and renews itself registers again at its next renewal; stop it first.'
  static override readonly exits = {3: 'no such service', 5: 'several have this name', 7: 'timed out, or not confirmed'}
  static override readonly args = {
    id: Args.string({description: 'Its id, or its name if only one has it.', required: true}),
  }
  static override readonly examples = [
    {description: 'Take a service out by its name.', command: '<%= config.bin %> <%= command.id %> cam1'},
    {
      description: 'Take one out by its id, and say so to a script.',
      command: '<%= config.bin %> <%= command.id %> cam-east --json',
    },
  ]
  static override readonly flags = askFlags

  async run(): Promise<{id: string}> {
    const {args, flags} = await this.parse(ServiceDeregister)
    await using client = await this.connect(flags)
    const id = await withService(client, args.id, (found) => client.deregister(found).then(() => found))
    return this.show({id}, () => printable(`deregistered ${id}`))
  }
}
