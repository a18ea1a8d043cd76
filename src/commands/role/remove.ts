import {Args} from '@oclif/core'
import {cellFlags, confirmFlags} from '../../cli/cell-command.ts'
import {type ChangeReport, HolderCommand} from '../../cli/holder-command.ts'
import {type RoleReport, roleReport} from '../../cli/holder-text.ts'

export default class RoleRemove extends HolderCommand {
  static override readonly summary = 'Remove a role, and take it away from all who have it.'
  static override readonly description = 'Its name is to be typed, or --yes given.'
  static override readonly exits = {3: 'no such role'}
  static override readonly args = {role: Args.string({description: 'Name of the role.', required: true})}
  static override readonly examples = [
    {description: 'See what would be removed.', command: '<%= config.bin %> <%= command.id %> uploaders --dry-run'},
    {description: 'Remove a role in a script.', command: '<%= config.bin %> <%= command.id %> uploaders --yes --json'},
  ]
  static override readonly flags = {...confirmFlags, ...cellFlags}

  async run(): Promise<ChangeReport<RoleReport>> {
    const {args, flags} = await this.parse(RoleRemove)
    await using admin = await this.openAdmin(flags)
    const role = await admin.role(args.role)
    await this.confirm({what: `remove the role ${role.name}`, name: role.name}, flags)
    if (!flags['dry-run']) await admin.remove('role', role.iden)
    return this.showRemoval('role', role, roleReport, flags['dry-run'])
  }
}
