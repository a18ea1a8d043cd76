import {Args, Flags} from '@oclif/core'
import {printable} from '../../cli/printable.ts'
import {askFlags, RegistryCommand} from '../../cli/registry-command.ts'
import {addressOf, exactService} from '../../cli/service-text.ts'

export default class ServiceDiscover extends RegistryCommand {
  static override readonly summary = 'Find one healthy service of a type and print where it listens.'
  static override readonly description = 'The registry chooses among several; how, its option discover:strategy says.'
  static override readonly exits = {3: 'no healthy service of this type'}
  static override readonly args = {
    type: Args.string({description: 'Type wanted; a tag of that name counts as well.', required: true}),
  }
  static override readonly examples = [
    {description: 'Print host:port of a camera.', command: '<%= config.bin %> <%= command.id %> camera'},
    {
      description: 'Print all about a camera with the tag night.',
      command: '<%= config.bin %> <%= command.id %> camera --tag night --json',
    },
  ]
  static override readonly flags = {
    tag: Flags.string({summary: 'Tag that it must have as well.'}),
    ...askFlags,
  }

  async run(): Promise<Readonly<Record<string, unknown>>> {
    const {args, flags} = await this.parse(ServiceDiscover)
    await using client = await this.connect(flags)
    const entry = await client.discover(args.type, {tag: flags.tag})
    this.show(entry, (found) => printable(addressOf(found)))
    return exactService(entry)
  }
}
