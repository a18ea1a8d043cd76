import {Args, Flags} from '@oclif/core'
import {CertCommand, type IssuedJson} from '../../cli/cert-command.ts'
import {issueFlags, keyFlag} from '../../cli/cert-flags.ts'

export default class CertCa extends CertCommand {
  static override readonly summary = 'Make a certificate authority.'
  static override readonly description =
    `Its name is by custom that of the network whose certificates it signs. With --signas it is an intermediate one, below
another: whoever trusts the upper one accepts what both have signed, if he is given both certificates.`
  static override readonly exits = {3: 'the authority of --signas, or its key, is not here', 5: 'it is there already'}
  static override readonly args = {name: Args.string({description: 'Its name, at most 64 bytes.', required: true})}
  static override readonly examples = [
    {description: 'Make the authority of a network.', command: '<%= config.bin %> <%= command.id %> lab.demo.net'},
    {
      description: 'Make one below it that lives for a year.',
      command: '<%= config.bin %> <%= command.id %> east.demo.net --signas demo.net --ttl 365d',
    },
  ]
  static override readonly flags = {
    ...issueFlags,
    signas: Flags.string({summary: 'Authority above it; without it, the new one stands by itself.', helpValue: '<ca>'}),
    key: keyFlag({summary: 'Kind of key; rsa4096 unless given. Stock Synapse loads RSA keys only.'}),
  }

  async run(): Promise<IssuedJson> {
    const {args, flags} = await this.parse(CertCa)
    return await this.issue({purpose: 'ca', name: args.name, signAs: flags.signas}, flags)
  }
}
