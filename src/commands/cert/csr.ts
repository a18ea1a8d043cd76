import {Args, Flags} from '@oclif/core'
import {CertCommand} from '../../cli/cert-command.ts'
import {certDirFlags, forceFlag, keyFlag, kindFlag, sansFlag} from '../../cli/cert-flags.ts'
import {keyValues} from '../../cli/render.ts'
import {type Requested, requestInto} from '../../pki/request.ts'
import {parseSubjectNames} from '../../pki/subject-names.ts'

export default class CertCsr extends CertCommand {
  static override readonly summary = 'Make a key and a request for a certificate, to be signed elsewhere.'
  static override readonly description =
    `The private key stays here; only the request travels. What the authority sends back is taken in with cert import. An
authority of Synapse gives each kind of certificate what belongs to it; others may ask for --sans in the request.`
  static override readonly exits = {3: 'there is no key for --use-key', 5: 'it is there already'}
  static override readonly args = {
    name: Args.string({description: 'Name of the certificate, at most 64 bytes.', required: true}),
  }
  static override readonly examples = [
    {
      description: 'Ask for the certificate of a host.',
      command: '<%= config.bin %> <%= command.id %> 00.axon.demo.net --kind host',
    },
    {
      description: 'Ask for a new certificate for the key that is there.',
      command: '<%= config.bin %> <%= command.id %> visi@demo.net --kind user --use-key --force',
    },
  ]
  static override readonly flags = {
    kind: kindFlag({summary: 'What it is for.', required: true}),
    sans: sansFlag,
    key: keyFlag({summary: 'Kind of key; rsa2048 unless given, rsa4096 for an authority.', exclusive: ['use-key']}),
    'use-key': Flags.boolean({summary: 'Take the key that is there instead of a new one.', default: false}),
    force: forceFlag,
    ...certDirFlags,
  }

  async run(): Promise<Requested> {
    const {args, flags} = await this.parse(CertCsr)
    const {kind, sans, key} = flags
    const requested = await requestInto(this.certDir(flags), {
      ...{purpose: kind, name: args.name, replace: flags.force, useKey: flags['use-key']},
      keyType: key ?? (kind === 'ca' ? 'rsa4096' : 'rsa2048'),
      alternativeNames: sans === undefined ? [] : parseSubjectNames(sans),
    })
    return this.show(requested, ({request, key}) =>
      keyValues([
        [flags['use-key'] ? 'key' : 'key saved', key],
        ['request saved', request],
      ]),
    )
  }
}
