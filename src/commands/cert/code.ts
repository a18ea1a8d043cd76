import {Args} from '@oclif/core'
import {CertCommand, type IssuedJson} from '../../cli/cert-command.ts'
import {issueFlags} from '../../cli/cert-flags.ts'

export default class CertCode extends CertCommand {
  static override readonly summary = 'Make a certificate for signing code, such as Storm packages.'
  static override readonly exits = {3: 'the authority, or its key, is not here', 5: 'it is there already'}
  static override readonly args = {name: Args.string({description: 'Its name, at most 64 bytes.', required: true})}
  static override readonly examples = [
    {
      description: 'Make the certificate of who signs packages.',
      command: "<%= config.bin %> <%= command.id %> 'The Signer' --signas demo.net",
    },
    {
      description: 'Make one that lives for two years.',
      command: '<%= config.bin %> <%= command.id %> packages.demo.net --ttl 730d',
    },
  ]
  static override readonly flags = issueFlags

  async run(): Promise<IssuedJson> {
    const {args, flags} = await this.parse(CertCode)
    const signAs = await this.signer(this.certDir(flags), flags.signas)
    return await this.issue({purpose: 'code', name: args.name, signAs}, flags)
  }
}
