import {Args, Flags} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {cellFlags} from '../../cli/cell-command.ts'
import {adminStep, grantStep, passwdStep, replaceRules, type Step} from '../../cli/holder-change.ts'
import {type ChangeReport, HolderCommand} from '../../cli/holder-command.ts'
import type {UserReport} from '../../cli/holder-text.ts'
import {parseRuleText} from '../../cli/permission-text.ts'
import {passwordFlags, readPassword} from '../../cli/read-password.ts'
import type {CellUser} from '../../client/admin-values.ts'

export default class UserAdd extends HolderCommand {
  static override readonly summary = 'Add a user to a cell.'
  static override readonly description =
    `Without a password the user cannot log in with one, but by a certificate of this name. A password is typed, or taken
from a file or the standard input; it is never an argument, which all users of the machine can see.`
  static override readonly exits = {5: 'there is a user of this name'}
  static override readonly args = {user: Args.string({description: 'Name of the new user.', required: true})}
  static override readonly examples = [
    {
      description: 'Add a user who may upload to an Axon.',
      command: '<%= config.bin %> <%= command.id %> gene --allow axon.upload --url cell:///srv/axon',
    },
    {
      description: 'Add an administrator with a password that a script made.',
      command: '<%= config.bin %> <%= command.id %> ops --admin --passwd-file ./ops.passwd',
    },
  ]
  static override readonly flags = {
    email: Flags.string({summary: 'Address of the user.', helpValue: '<address>'}),
    admin: Flags.boolean({summary: 'Make an administrator, who may do everything.', default: false}),
    role: Flags.string({
      summary: 'Grant this role; may be given several times.',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    allow: Flags.string({
      summary: 'Allow this permission; may be given several times, the first is asked first.',
      helpValue: '<permission>',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    passwd: Flags.boolean({summary: 'Ask for a password.', exclusive: ['passwd-file', 'passwd-stdin']}),
    ...passwordFlags,
    ...cellFlags,
  }

  async run(): Promise<ChangeReport<UserReport>> {
    const {args, flags} = await this.parse(UserAdd)
    const rules = flags.allow.map(parseRuleText)
    const isWanted = flags.passwd || flags['passwd-file'] !== undefined || flags['passwd-stdin']
    const passwd = isWanted ? await readPassword(flags, {isAskable: this.isAskable, signal: this.signal}) : undefined
    await using admin = await this.openAdmin(flags)
    // What cannot be granted is found out before the user is there.
    const roles = await Promise.all(flags.role.map((name) => admin.role(name)))
    if ((await admin.findUser(args.user)) !== undefined) throw isThere(args.user)
    const user = await admin.addUser(args.user, flags.email)
    const steps: Step<CellUser>[] = [
      ...(passwd === undefined ? [] : [passwdStep(passwd.reveal())]),
      ...roles.map((role) => grantStep(role, undefined)),
      replaceRules({holder: 'user', gate: undefined}, rules),
      ...(flags.admin ? [adminStep(true, undefined)] : []),
    ]
    return await this.addedUser(admin, user, steps)
  }
}

function isThere(name: string): RegistryError {
  return new RegistryError('REG_CONFLICT', `there is a user "${name}" already`, {
    telepath: 'DupUserName',
    info: {name},
    hints: [`registry user show ${name}`, `registry user set ${name}`],
  })
}
