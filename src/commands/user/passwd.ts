import {Args, Flags} from '@oclif/core'
import {CellCommand, cellFlags, confirmFlags} from '../../cli/cell-command.ts'
import {printable} from '../../cli/printable.ts'
import {passwordFlags, readPassword} from '../../cli/read-password.ts'

interface PasswordSet {
  readonly user: string
  /** `set`, or `cleared`: then nobody can log in with a password. */
  readonly password: 'set' | 'cleared'
  readonly dryRun: boolean
}

export default class UserPasswd extends CellCommand {
  static override readonly summary = "Set a user's password, or take it away."
  static override readonly description =
    `The password is typed twice, or taken from a file or the standard input; it is never an argument, which all users of the
machine can see. A registry closes what the user has open;
Synapse services leave it open, unless the user is locked for a moment.`
  static override readonly exits = {3: 'no such user', 4: 'refused'}
  static override readonly args = {user: Args.string({description: 'Name of the user.', required: true})}
  static override readonly examples = [
    {
      description: 'Take a new password from another program.',
      command: '<%= config.bin %> <%= command.id %> visi --passwd-stdin < ./visi.passwd',
    },
    {
      description: 'Take one from a file.',
      command: '<%= config.bin %> <%= command.id %> visi --passwd-file ./visi.passwd',
    },
  ]
  static override readonly flags = {
    clear: Flags.boolean({
      summary: 'Take the password away: no login with one until there is another.',
      default: false,
      exclusive: ['passwd-file', 'passwd-stdin'],
    }),
    ...passwordFlags,
    ...confirmFlags,
    ...cellFlags,
  }

  async run(): Promise<PasswordSet> {
    const {args, flags} = await this.parse(UserPasswd)
    const isDry = flags['dry-run']
    const passwd = flags.clear ? undefined : await readPassword(flags, {isAskable: this.isAskable, signal: this.signal})
    await using admin = await this.openAdmin(flags)
    // A user may set his own, who may not look at others.
    const iden = await admin.userIden(args.user)
    if (flags.clear) await this.confirm({what: `take the password of ${args.user} away`}, flags)
    if (!isDry) await admin.setPasswd(iden, passwd?.reveal() ?? null)
    const password = flags.clear ? 'cleared' : 'set'
    if (isDry) this.say('dry run: nothing was done')
    return this.show({user: args.user, password, dryRun: isDry}, () =>
      printable(`the password of ${args.user} ${isDry ? 'would be' : 'is'} ${password}`),
    )
  }
}
