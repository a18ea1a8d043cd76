import {Args, Flags} from '@oclif/core'
import {CertCommand, type IssuedJson} from '../../cli/cert-command.ts'
import {issueFlags, sansFlag} from '../../cli/cert-flags.ts'

export default class CertHost extends CertCommand {
  static override readonly summary = 'Make the certificate of a host: what a listener proves itself with.'
  static override readonly description =
    `Synapse clients compare the name with the host of the URL, or with its hostname parameter, and regard no other name.
Programs that speak HTTPS regard the other names only.`
  static override readonly exits = {3: 'the authority, or its key, is not here', 5: 'it is there already'}
  static override readonly args = {
    name: Args.string({description: 'Name of the host, at most 64 bytes.', required: true}),
  }
  static override readonly examples = [
    {
      description: 'Make the certificate of a service.',
      command: '<%= config.bin %> <%= command.id %> aha.demo.net --signas demo.net',
    },
    {
      description: 'Make one with more names, for 90 days, in the directory of a cell.',
      command:
        '<%= config.bin %> <%= command.id %> 00.axon.demo.net --sans DNS:axon.demo.net,IP:127.0.0.1 --ttl 90d --dir ./axon',
    },
  ]
  static override readonly flags = {
    sans: sansFlag,
    'self-signed': Flags.boolean({
      summary: 'Sign it with its own key: for a listener whose clients pin its certhash.',
      default: false,
      exclusive: ['signas'],
    }),
    ...issueFlags,
  }

  async run(): Promise<IssuedJson> {
    const {args, flags} = await this.parse(CertHost)
    const signAs = flags['self-signed'] ? undefined : await this.signer(this.certDir(flags), flags.signas)
    return await this.issue({purpose: 'host', name: args.name, signAs}, flags)
  }
}
