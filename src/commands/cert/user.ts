import {Args} from '@oclif/core'
import {CertCommand, type IssuedJson} from '../../cli/cert-command.ts'
import {issueFlags} from '../../cli/cert-flags.ts'

export default class CertUser extends CertCommand {
  static override readonly summary = 'Make the certificate of a user: what a client proves itself with.'
  static override readonly description =
    'A service takes visi@demo.net for its user visi when its own network is demo.net, and else for a user of the full name.'
  static override readonly exits = {3: 'the authority, or its key, is not here', 5: 'it is there already'}
  static override readonly args = {
    name: Args.string({description: 'USER@NETWORK, at most 64 bytes.', required: true}),
  }
  static override readonly examples = [
    {
      description: 'Make the certificate of a user.',
      command: '<%= config.bin %> <%= command.id %> visi@demo.net --signas demo.net',
    },
    {
      description: 'Make a new one for 30 days in the place of the old one, which stays as .bak.',
      command: '<%= config.bin %> <%= command.id %> visi@demo.net --ttl 30d --force',
    },
  ]
  static override readonly flags = issueFlags

  async run(): Promise<IssuedJson> {
    const {args, flags} = await this.parse(CertUser)
    const signAs = await this.signer(this.certDir(flags), flags.signas)
    return await this.issue({purpose: 'user', name: args.name, signAs}, flags)
  }
}
