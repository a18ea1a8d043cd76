import {Args} from '@oclif/core'
import {systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {cellFlags} from '../cli/cell-command.ts'
import {expiryOf, mintFlags, ProvisionCommand} from '../cli/provision-command.ts'
import {type CloneReport, cloneText} from '../cli/provision-text.ts'
import {DEFAULT_PORT} from '../wire/telepath/url.ts'

const MAX_PORT = 65_535

export default class Clone extends ProvisionCommand {
  static override readonly summary = 'Make a one-time URL that lets another machine become a mirror of this registry.'
  static override readonly description =
    `The registry must be an AHA (aha:network and dns:name): its members know each other by the certificates of its network. Start the new member with the URL
as clone: registry serve copies everything over TLS, takes over the authority of the network, so that it can lead one day, and follows the leader.
On a real Synapse AHA this makes the URL for another Synapse AHA: neither can be a copy of the other.`
  static override readonly exits = {
    4: 'you are no administrator there',
    5: 'that service is no AHA, or has no provisioning listener with TLS',
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
  ]
  static override readonly flags = {...mintFlags, ...cellFlags}

  async run(): Promise<CloneReport | undefined> {
    const {args, flags} = await this.parse(Clone)
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
}

function placeOf(text: string): {readonly host: string; readonly port: number | undefined} {
  const [, host = '', port] = /^([^\s:/@]+)(?::(\d{1,5}))?$/.exec(text) ?? []
  if (host !== '' && Number(port ?? 0) <= MAX_PORT) return {host, port: port === undefined ? undefined : Number(port)}
  throw new RegistryError('REG_USAGE', `"${text}" is not a DNS name, or NAME:PORT with a port from 0 to ${MAX_PORT}`)
}
