import {Args} from '@oclif/core'
import {CellCommand, cellFlags} from '../../cli/cell-command.ts'
import {type RoleReport, roleDetails, roleReport} from '../../cli/holder-text.ts'

interface RoleShown extends RoleReport {
  /** Names of the users who have it. */
  readonly users: readonly string[]
}

export default class RoleShow extends CellCommand {
  static override readonly summary = 'Show a role: its rules in the order in which they are asked, and who has it.'
  static override readonly exits = {3: 'no such role'}
  static override readonly args = {role: Args.string({description: 'Name of the role.', required: true})}
  static override readonly examples = [
    {description: 'Show what a role allows.', command: '<%= config.bin %> <%= command.id %> uploaders'},
    {
      description: 'Show one of an Axon, for a script.',
      command: '<%= config.bin %> <%= command.id %> uploaders --url cell:///srv/axon --json',
    },
  ]
  static override readonly flags = cellFlags

  async run(): Promise<RoleShown> {
    const {args, flags} = await this.parse(RoleShow)
    await using admin = await this.openAdmin(flags)
    const role = await admin.role(args.role)
    const having = (await admin.users()).filter(({roles}) => roles.some(({iden}) => iden === role.iden))
    const users = having.map(({name}) => name)
    this.show(role, () => roleDetails(role, users))
    return {...roleReport(role), users}
  }
}
