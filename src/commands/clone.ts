import {Args, Flags} from '@oclif/core'
import {systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {type CellWish, cellFlags} from '../cli/cell-command.ts'
import {printable} from '../cli/printable.ts'
import {expiryOf, mintFlags, ProvisionCommand} from '../cli/provision-command.ts'
import {type CloneReport, cloneText} from '../cli/provision-text.ts'
import {DEFAULT_PORT} from '../wire/telepath/url.ts'

const MAX_PORT = 65_535

export default class Clone extends ProvisionCommand {
  static override readonly summary =
    'Make a one-time URL that lets another machine become a mirror of this registry; with --forget, forget one that is gone.'
  static override readonly description =
    `The registry must be an AHA (aha:network and dns:name): its members know each other by the certificates of its network. Start the new member with the URL
as clone: registry serve copies everything over TLS, takes over the authority of the network, so that it can lead one day, and follows the leader.
With --forget the member of that name, which is gone for good, is taken out of the cell instead: the leader waits for it and tells it no more. It is refused while
it follows. If it starts again it becomes a member again.
On a real Synapse AHA this makes the URL for another Synapse AHA: neither can be a copy of the other.`
  static override readonly exits = {
    4: 'you are no administrator there',
    3: 'with --forget: there is no such member',
    5: 'that service is no AHA, or has no provisioning listener with TLS; with --forget: the member follows at present',
  }
  static override readonly args = {
    host: Args.string({
      description: `DNS name under which the others will reach the new member, like 01.aha.example.net; NAME:PORT for another port than ${DEFAULT_PORT}.`,
      required: true,
    }),
  }
  static override readonly examples = [
    {
      description: 'Let a second machine follow the registry that runs here.',
      command: '<%= config.bin %> <%= command.id %> 01.aha.example.net',
    },
    {
      description: 'Hand the URL to a script, good for an hour.',
      command: '<%= config.bin %> <%= command.id %> 01.aha.example.net:31201 --expires 1h --only-url',
    },
    {
      description: 'Let the leader wait no longer for a member whose machine is gone.',
      command: '<%= config.bin %> <%= command.id %> 01.aha.example.net --forget --yes',
    },
  ]
  static override readonly flags = {
    ...mintFlags,
    forget: Flags.boolean({
      summary: 'Take the member of this name out of the cell, because it is gone for good.',
      exclusive: Object.keys(mintFlags),
    }),
    yes: Flags.boolean({summary: 'Do not ask, with --forget.', dependsOn: ['forget']}),
    'dry-run': Flags.boolean({
      summary: 'Show what would be done, and do nothing, with --forget.',
      dependsOn: ['forget'],
    }),
    ...cellFlags,
  }

  async run(): Promise<CloneReport | ForgetReport | undefined> {
    const {args, flags} = await this.parse(Clone)
    if (flags.forget) return await this.#forget(args.host, flags)
    const {host, port} = placeOf(args.host)
    await using aha = await this.openAha(flags)
    const network = await aha.network()
    const url = await aha.addClone({host, port, life: flags.expires})
    if (flags['only-url']) {
      await this.write(`${url}\n`)
      return undefined
    }
    const setting = aha.keepsBook ? 'SYN_REGISTRY_CLONE' : 'SYN_AHA_CLONE'
    const report = {url, host, port: port ?? DEFAULT_PORT, network, expires: await expiryOf(aha, url), setting}
    return this.show(report, () => cloneText(report, systemClock.wallMs()))
  }

  async #forget(name: string, flags: ForgetWish): Promise<ForgetReport> {
    await using aha = await this.openAha(flags)
    const {yes = false, 'dry-run': isDry = false} = flags
    const {member} = await aha.awayMember(name)
    const about = [
      'it must be gone for good: the leader asks it no more whether it leads',
      'its certificates stay valid: registry cert revoke',
    ]
    await this.confirm({what: `forget the member ${name}`, name, about}, {yes, 'dry-run': isDry})
    if (isDry) this.say('dry run: nothing was done')
    else await aha.forgetMember(name)
    return this.show({name, member, dryRun: isDry}, () =>
      printable(isDry ? `${name} would be forgotten` : `${name} is forgotten`),
    )
  }
}

interface ForgetReport {
  readonly name: string
  /** Iden of the member. */
  readonly member: string
  readonly dryRun: boolean
}

interface ForgetWish extends CellWish {
  readonly yes?: boolean | undefined
  readonly 'dry-run'?: boolean | undefined
}

function placeOf(text: string): {readonly host: string; readonly port: number | undefined} {
  const [, host = '', port] = /^([^\s:/@]+)(?::(\d{1,5}))?$/.exec(text) ?? []
  if (host !== '' && Number(port ?? 0) <= MAX_PORT) return {host, port: port === undefined ? undefined : Number(port)}
  throw new RegistryError('REG_USAGE', `"${text}" is not a DNS name, or NAME:PORT with a port from 0 to ${MAX_PORT}`)
}
