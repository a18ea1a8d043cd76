import {Args, Flags} from '@oclif/core'
import {CertCommand} from '../../cli/cert-command.ts'
import {certDirFlags, forceFlag, kindFlag} from '../../cli/cert-flags.ts'
import {keyValues} from '../../cli/render.ts'
import {type Imported, importFile} from '../../pki/import-file.ts'

export default class CertImport extends CertCommand {
  static override readonly summary = 'Take a certificate, key or revocation list from elsewhere into the directory.'
  static override readonly description =
    `A file may hold a certificate with the chain behind it, a private key, or both. A key has to fit its certificate, and a
revocation list has to be signed by an authority that is here. A PKCS#12 file is copied as it is. A request that the certificate answers is removed.`
  static override readonly exits = {
    3: 'no such file',
    4: 'it is not what it should be',
    5: 'it is there already',
  }
  static override readonly args = {file: Args.string({description: 'The file, in PEM form or .p12.', required: true})}
  static override readonly examples = [
    {
      description: 'Trust an authority.',
      command: '<%= config.bin %> <%= command.id %> ./company-root.pem --kind ca',
    },
    {
      description: 'Take in what an authority answered to a request.',
      command: '<%= config.bin %> <%= command.id %> ./answer.pem --kind host --name 00.axon.demo.net',
    },
  ]
  static override readonly flags = {
    kind: kindFlag({summary: 'What it belongs to; certificates say so themselves.'}),
    name: Flags.string({
      summary: 'Name in the directory. Without it: that of the certificate, else that of the file.',
      helpValue: '<name>',
    }),
    force: forceFlag,
    ...certDirFlags,
  }

  async run(): Promise<Imported> {
    const {args, flags} = await this.parse(CertImport)
    const order = {file: args.file, purpose: flags.kind, name: flags.name, replace: flags.force}
    return this.show(await importFile(this.certDir(flags), order), ({files, answered}) =>
      keyValues([...files.map((path) => ['saved', path] as const), ['removed the request', answered]]),
    )
  }
}
