import {Flags} from '@oclif/core'
import {askFlags, RegistryCommand} from '../../cli/registry-command.ts'
import {filterFlags, filterOf} from '../../cli/service-flags.ts'
import {SORT_KEYS, sortServices} from '../../cli/service-sort.ts'
import {exactService, serviceTable} from '../../cli/service-text.ts'

interface Listed {
  readonly services: readonly Readonly<Record<string, unknown>>[]
  /** How many match, on all pages. */
  readonly total: number
}

export default class ServiceList extends RegistryCommand {
  static override readonly summary = 'List the services that are registered.'
  static override readonly description =
    `Critical services are listed too: their lease has ended, and they are not discovered any more.
The order is that of first registration unless --sort is given.`
  static override readonly examples = [
    {description: 'List everything.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'List the healthy cameras of building 4, those renewed last first.',
      command:
        '<%= config.bin %> <%= command.id %> --type camera --health passing --metadata building=4 --sort=-renewed',
    },
    {
      description: 'Take the second page of the ids that scripts want.',
      command: '<%= config.bin %> <%= command.id %> --limit 50 --offset 50 --json',
    },
  ]
  static override readonly flags = {
    ...filterFlags,
    sort: Flags.option({
      options: SORT_KEYS,
      summary: 'Order by name, type, host, port, health, renewed, ttl or id; with a minus in front, descending.',
      helpValue: '[-]<key>',
    })(),
    limit: Flags.integer({summary: 'Show at most so many.', min: 1}),
    offset: Flags.integer({summary: 'Leave out so many at the beginning.', min: 0, default: 0}),
    ...askFlags,
  }

  async run(): Promise<Listed> {
    const {flags} = await this.parse(ServiceList)
    await using client = await this.connect(flags)
    const all = sortServices(await client.list(filterOf(flags)), flags.sort)
    const page = all.slice(flags.offset, flags.offset + (flags.limit ?? all.length))
    if (page.length < all.length) this.say(`${page.length} of ${all.length} services, from ${flags.offset + 1}`)
    else if (all.length === 0) this.say('no service matches')
    if (page.length > 0) this.show(page, serviceTable)
    return {services: this.jsonEnabled() ? page.map(exactService) : [], total: all.length}
  }
}
