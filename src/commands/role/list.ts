import {CellCommand, cellFlags} from '../../cli/cell-command.ts'
import {type RoleReport, roleReport, roleTable} from '../../cli/holder-text.ts'

export default class RoleList extends CellCommand {
  static override readonly summary = 'List the roles of a cell.'
  static override readonly description = 'The role all is there from the beginning; every new user has it.'
  static override readonly examples = [
    {description: 'List the roles of the server on this machine.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'List those of an Axon, for a script.',
      command: '<%= config.bin %> <%= command.id %> --url cell:///srv/axon --json',
    },
  ]
  static override readonly flags = cellFlags

  async run(): Promise<{roles: readonly RoleReport[]}> {
    const {flags} = await this.parse(RoleList)
    await using admin = await this.openAdmin(flags)
    const roles = await admin.roles()
    this.show(roles, roleTable)
    return {roles: roles.map(roleReport)}
  }
}
