import {Args, Flags} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {cellFlags} from '../../cli/cell-command.ts'
import {checkRelative, mintFlags, ProvisionCommand} from '../../cli/provision-command.ts'
import type {MintReport} from '../../cli/provision-text.ts'
import type {CellUser} from '../../client/admin-values.ts'

export default class ProvisionUser extends ProvisionCommand {
  static override readonly summary = 'Make a one-time URL that lets a user in.'
  static override readonly description =
    `Who enrolls with it gets a certificate for NAME@NETWORK and the address of this AHA. The user is added to this AHA and may look services up; on other
services he has to be added as well. Where the AHA has a user NAME already, the certificate is that user's, with his rights. Works on this software's server and on a real Synapse AHA.`
  static override readonly exits = {
    4: 'you are no administrator there',
    5: 'the user is there already, or that service is no AHA',
  }
  static override readonly args = {
    name: Args.string({description: 'Name of the user without the network.', required: true}),
  }
  static override readonly examples = [
    {description: 'Let a user in.', command: '<%= config.bin %> <%= command.id %> visi'},
    {
      description: 'Give a user who lost the certificate another one, within the hour.',
      command: '<%= config.bin %> <%= command.id %> bob --again --expires 1h --only-url',
    },
  ]
  static override readonly flags = {
    again: Flags.boolean({summary: 'The user may be there already.', default: false}),
    ...mintFlags,
    ...cellFlags,
  }

  async run(): Promise<MintReport | undefined> {
    const {args, flags} = await this.parse(ProvisionUser)
    await using aha = await this.openAha(flags)
    const network = await aha.network()
    const name = checkRelative('user', args.name, network)
    // Where an AHA has a user of the bare name, the certificate is his: that may be root.
    const known = await aha.findUser(name)
    if (known !== undefined && !flags.again) throw alreadyThere(known, network)
    const url = await aha.addUser(name, flags.again, flags.expires)
    const user = known === undefined ? `${name}@${network}` : name
    const minted = {url, kind: 'user', name, network, user, setting: null} as const
    return await this.showMinted(aha, minted, flags['only-url'])
  }
}

function alreadyThere({name, isAdmin}: CellUser, network: string): RegistryError {
  const what = isAdmin ? 'an administrator, who may do everything' : 'with rights of its own'
  const text = `the user ${name} is there already, ${what}: a certificate of ${name}@${network} would be for that one`
  return new RegistryError('REG_CONFLICT', text, {
    info: {user: name, admin: isAdmin},
    hints: [`registry provision user ${name} --again`, `registry user show ${name}`],
  })
}
