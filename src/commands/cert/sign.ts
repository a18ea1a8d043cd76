import {Args, Flags} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {CertCommand} from '../../cli/cert-command.ts'
import {certDirFlags, forceFlag, kindFlag, sansFlag, signasFlag, termFlags} from '../../cli/cert-flags.ts'
import {type CertificateJson, certificateJson, issuedText} from '../../cli/cert-text.ts'
import {readCertFile} from '../../pki/cert-files.ts'
import {certificatePem} from '../../pki/certificate.ts'
import {readCsr, signCsr} from '../../pki/csr.ts'
import {loadSigner} from '../../pki/issuer.ts'

interface Signed {
  readonly certificate: CertificateJson
  readonly files: readonly string[]
}

export default class CertSign extends CertCommand {
  static override readonly summary = 'Sign a request for a certificate, from here or elsewhere.'
  static override readonly description =
    `Only the name and the public key are taken from the request, and that its sender has the private key is proved; all else
is what the kind of certificate always has. Give --name to refuse any other name.`
  static override readonly exits = {
    3: 'the request, the authority or its key is not here',
    4: 'the request is refused',
    5: 'the certificate is there already',
  }
  static override readonly args = {file: Args.string({description: 'The request, in PEM form.', required: true})}
  static override readonly examples = [
    {
      description: 'Sign the request of a host.',
      command: '<%= config.bin %> <%= command.id %> ./00.axon.demo.net.csr --kind host --signas demo.net',
    },
    {
      description: 'Sign that of a user for 30 days, and only that.',
      command: '<%= config.bin %> <%= command.id %> ./request.csr --kind user --name visi@demo.net --ttl 30d',
    },
  ]
  static override readonly flags = {
    kind: kindFlag({summary: 'What the certificate is to be for.', required: true}),
    name: Flags.string({summary: 'Name that the request must have.', helpValue: '<name>'}),
    sans: sansFlag,
    signas: signasFlag,
    ...termFlags,
    force: forceFlag,
    ...certDirFlags,
  }

  async run(): Promise<Signed> {
    const {args, flags} = await this.parse(CertSign)
    const certDir = this.certDir(flags)
    const request = readCsr(await readCertFile(args.file))
    if (flags.name !== undefined && flags.name !== request.name) throw otherName(request.name, flags.name)
    const signer = await loadSigner(certDir, await this.signer(certDir, flags.signas))
    const certificate = await signCsr(request, flags.kind, signer, this.terms(flags))
    const place = [flags.kind, request.name, 'crt', certificatePem(certificate)] as const
    const path = await (flags.force ? certDir.replace(...place) : certDir.create(...place))
    return this.show({certificate: certificateJson(certificate, {kind: flags.kind, path}), files: [path]}, issuedText)
  }
}

function otherName(name: string, wanted: string): RegistryError {
  return new RegistryError('REG_CERT_INVALID', `the request is for ${name}, not for ${wanted}: nothing was signed`, {
    info: {name, wanted},
    hints: [`give --name ${name} if that is right`],
  })
}
