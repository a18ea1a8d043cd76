import {Args} from '@oclif/core'
import {withService} from '../../cli/find-service.ts'
import {askFlags, RegistryCommand} from '../../cli/registry-command.ts'
import {exactService, serviceDetails} from '../../cli/service-text.ts'

export default class ServiceShow extends RegistryCommand {
  static override readonly summary = 'Show everything that is known of one service.'
  static override readonly description =
    'With --json, the service object is what the registry holds, numbers of any size included.'
  static override readonly exits = {3: 'no such service', 5: 'several have this name'}
  static override readonly args = {
    id: Args.string({description: 'Its id, or its name if only one has it.', required: true}),
  }
  static override readonly examples = [
    {description: 'Show one by its name.', command: '<%= config.bin %> <%= command.id %> cam1'},
    {description: 'Show one by its id, for a script.', command: '<%= config.bin %> <%= command.id %> cam-east --json'},
  ]
  static override readonly flags = askFlags

  async run(): Promise<Readonly<Record<string, unknown>>> {
    const {args, flags} = await this.parse(ServiceShow)
    await using client = await this.connect(flags)
    const entry = await withService(client, args.id, (id) => client.get(id))
    this.show(entry, serviceDetails)
    return exactService(entry)
  }
}
