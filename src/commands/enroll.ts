import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {enrolledText} from '../cli/enroll-text.ts'
import {readStdinSecret} from '../cli/read-password.ts'
import type {Enrolled} from '../client/enroll/enroll.ts'
import {readEnvironment} from '../config/environment.ts'
import {CertDir} from '../pki/cert-dir.ts'

export default class Enroll extends BaseCommand {
  static override readonly summary = 'Turn a one-time URL for a user into certificates, so that aha:// works.'
  static override readonly description =
    `Makes a key, has the AHA sign a certificate for it, and names the AHA in telepath.yaml, whose comments stay. Files go where Synapse's tools look for
them: SYN_CERT_DIR, else certs below SYN_DIR, else ~/.syn/certs; and telepath.yaml of SYN_DIR, else ~/.syn. Nothing is replaced without --force. When the
answer of the AHA was lost, or the disk was full, the same command goes on where it ended; a registry takes the URL again for 10 minutes.
Other users of this machine see the arguments of a command: with - the URL is read from the standard input.`
  static override readonly exits = {
    2: 'it is no one-time URL, or one for a service',
    3: 'the URL was used, has expired or is unknown',
    4: 'the AHA is not the one that the URL names',
    5: 'there are such files already',
  }
  static override readonly args = {
    url: Args.string({
      description: 'One-time URL, from registry provision user NAME; - reads it from the input.',
      required: true,
    }),
  }
  static override readonly examples = [
    {
      description: 'Enroll with a URL that an administrator has made.',
      command:
        "<%= config.bin %> <%= command.id %> 'ssl://aha.example.net:27272/2d0815f2eef616baa1a2ef92330503d6?certhash=5c3ccb2840536f5df3b1ca103a28fc17e27d7e927d89e3f8d309693354ce0f8b'",
    },
    {
      description: 'Enroll once more, and show the URL to nobody.',
      command: '<%= config.bin %> <%= command.id %> - --force < url.txt',
    },
  ]
  static override readonly flags = {
    force: Flags.boolean({summary: 'Replace what is there; it stays beside as .bak.', default: false}),
  }

  async run(): Promise<Enrolled> {
    const {args, flags} = await this.parse(Enroll)
    const url = args.url === '-' ? (await readStdinSecret('one-time URL')).reveal() : args.url
    const {synDir, enrollDir} = readEnvironment()
    const {enroll} = await import('../client/enroll/enroll.ts')
    using _ = await this.progress('asking the AHA for a certificate')
    const order = {url, certDir: new CertDir(enrollDir), synDir, replace: flags.force, signal: this.signal}
    return this.show(await enroll(order), enrolledText)
  }
}
