import {Args} from '@oclif/core'
import {CertCommand} from '../../cli/cert-command.ts'
import {certDirFlags, forceFlag, kindFlag, passphraseFlags} from '../../cli/cert-flags.ts'
import {readSecret} from '../../cli/read-password.ts'
import {keyValues} from '../../cli/render.ts'
import {refuseExisting} from '../../pki/issuer.ts'
import {makeP12} from '../../pki/p12.ts'
import {authoritiesAbove} from '../../pki/trust.ts'

interface Packed {
  readonly path: string
  /** How many authorities are in it. */
  readonly authorities: number
}

export default class CertP12 extends CertCommand {
  static override readonly summary =
    'Pack a certificate, its key and its authorities into a PKCS#12 file, for browsers.'
  static override readonly description =
    `The file is encrypted under a passphrase, which is asked for; it is never taken from the command line. Programs since about
2018 can read it (AES-256, SHA-256).`
  static override readonly exits = {3: 'the certificate or its key is not here', 5: 'it is there already'}
  static override readonly args = {name: Args.string({description: 'Name of the certificate.', required: true})}
  static override readonly examples = [
    {
      description: 'Pack the certificate of a user; without the flag, the passphrase is asked for.',
      command: '<%= config.bin %> <%= command.id %> visi@demo.net --passphrase-stdin < ./passphrase',
    },
    {
      description: 'Pack that of a host with a passphrase from a file.',
      command: '<%= config.bin %> <%= command.id %> web.demo.net --kind host --passphrase-file ./passphrase',
    },
  ]
  static override readonly flags = {
    kind: kindFlag({summary: 'Kind of certificate.', default: 'user'}),
    ...passphraseFlags,
    force: forceFlag,
    ...certDirFlags,
  }

  async run(): Promise<Packed> {
    const {args, flags} = await this.parse(CertP12)
    const {kind} = flags
    const {name} = args
    const certDir = this.certDir(flags)
    const certificate = await certDir.certificate(kind, name)
    const key = await certDir.key(kind, name)
    if (!flags.force) await refuseExisting(certDir, kind, name, ['p12'])
    const source = {file: flags['passphrase-file'], isStdin: flags['passphrase-stdin'] === true}
    const asking = {isAskable: this.isAskable, signal: this.signal}
    const passphrase = await readSecret(source, {noun: 'passphrase', flag: 'passphrase'}, asking)
    const cas = await authoritiesAbove(certDir, certificate)
    const place = [kind, name, 'p12', await makeP12({name, key, certificate, cas, passphrase})] as const
    const path = await (flags.force ? certDir.replace(...place) : certDir.create(...place))
    return this.show({path, authorities: cas.length}, (packed) =>
      keyValues([
        ['PKCS#12 saved', packed.path],
        ['authorities in it', String(packed.authorities)],
      ]),
    )
  }
}
