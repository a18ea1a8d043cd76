import {Args, Flags} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {cellFlags} from '../../cli/cell-command.ts'
import {checkRelative, mintFlags, ProvisionCommand} from '../../cli/provision-command.ts'
import {type MintReport, settingOf} from '../../cli/provision-text.ts'
import {readServiceConf} from '../../cli/service-conf.ts'
import type {AhaAdmin} from '../../client/aha-admin.ts'

const MAX_PORT = 65_535
/** Whose rights a service has that is a user of its own. */
const OWN = 'own'

export default class ProvisionService extends ProvisionCommand {
  static override readonly summary = 'Make a one-time URL that lets a new service in.'
  static override readonly description =
    `The service starts with it as aha:provision (SYN_AXON_AHA_PROVISION=URL for an Axon): it gets its name, its certificates and the address of this AHA.
It will be root, on this AHA and on every service, unless --user says who else; --user own makes a user with the name of the service, who may look
services up and register that service, which is enough for an Axon or a JSONStor. Works on this software's server and on a real Synapse AHA.`
  static override readonly exits = {
    4: 'you are no administrator there, or it forbids root',
    5: 'that service is no AHA',
  }
  static override readonly args = {
    name: Args.string({description: 'Name of the service without the network, like 00.axon.', required: true}),
  }
  static override readonly examples = [
    {
      description: 'Let an Axon in that can do no more than it needs.',
      command: '<%= config.bin %> <%= command.id %> 00.axon --user own',
    },
    {
      description: 'Let a mirror of a Cortex in, on a fixed port, and hand its URL to a script.',
      command: '<%= config.bin %> <%= command.id %> 01.cortex --mirror cortex --dmon-port 27493 --only-url',
    },
  ]
  static override readonly flags = {
    user: Flags.string({
      summary:
        'User that the service is on this AHA and on other services: a name, or own for one of its own. root unless given.',
      helpValue: '<name>|own',
    }),
    mirror: Flags.string({summary: 'Leader that it follows, like cortex.', helpValue: '<name>'}),
    'dmon-port': Flags.integer({
      summary: 'Port of its Telepath listener; a free one unless given.',
      min: 0,
      max: MAX_PORT,
    }),
    'https-port': Flags.integer({summary: 'Port of its HTTPS listener.', min: 0, max: MAX_PORT}),
    cellyaml: Flags.string({summary: 'File with more options for its cell.yaml.', helpValue: '<file>'}),
    ...mintFlags,
    ...cellFlags,
  }

  async run(): Promise<MintReport | undefined> {
    const {args, flags} = await this.parse(ProvisionService)
    const {mirror} = flags
    const conf = flags.cellyaml === undefined ? {} : await readServiceConf(flags.cellyaml, flags)
    await using aha = await this.openAha(flags)
    const network = await aha.network()
    const name = checkRelative('service', args.name, network)
    const user = flags.user === OWN ? await ownUser(aha, name) : flags.user
    const url = await aha.addService({
      ...{name, user, mirror, conf, life: flags.expires},
      ...{dmonPort: flags['dmon-port'], httpsPort: flags['https-port']},
    })
    const asUser = user ?? String(conf['aha:user'] ?? 'root')
    const minted = {url, kind: 'service', name, network, user: asUser, mirror, setting: settingOf(name)} as const
    const report = await this.showMinted(aha, minted, flags['only-url'])
    if (report !== undefined && mirror !== undefined && !report.user.admin) {
      this.say(
        `to follow ${mirror}, ${asUser} has to be admin there: registry user add ${asUser} --admin --url aha://${mirror}...`,
      )
    }
    return report
  }
}

/** Gives the name of the user that a service has for itself alone. */
async function ownUser(aha: AhaAdmin, name: string): Promise<string> {
  const user = await aha.findUser(name)
  if (user?.isAdmin !== true) return name
  throw new RegistryError(
    'REG_CONFLICT',
    `the user ${name} is an administrator of this AHA: the service could do everything`,
    {
      hints: [`registry user set ${name} --no-admin`, `registry provision service ${name} --user OTHER`],
      info: {user: name},
    },
  )
}
