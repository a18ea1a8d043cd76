import {type Backup, openBackup, verifyBackup} from '../../backup/open-backup.ts'
import {identitiesIn, identityFlags} from '../../cli/backup-flags.ts'
import {type VerifyReport, verifyReport, verifyText} from '../../cli/backup-text.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {pathArg} from '../../cli/flags.ts'
import {onBackup} from '../../cli/given-backup.ts'

export default class BackupVerify extends BaseCommand {
  static override readonly summary =
    'Verify that a backup is whole: every byte of it is read and compared with its manifest. Ends with 8 if it is not.'
  static override readonly description =
    'Files that are missing, altered, or not known to the manifest are named. Nothing is changed, and nothing is asked of the service.'
  static override readonly exits = {
    4: 'it is encrypted, and no given identity opens it',
    8: 'it is no backup, or it is damaged',
  }
  static override readonly args = {
    backup: pathArg({
      description: 'The backup: its directory, its archive, or a directory of backup follow.',
      required: true,
    }),
  }
  static override readonly flags = identityFlags
  static override readonly examples = [
    {
      description: 'Verify a backup.',
      command: '<%= config.bin %> <%= command.id %> ./backups/20261121120000',
    },
    {
      description: 'Verify an encrypted archive.',
      command: '<%= config.bin %> <%= command.id %> nightly.tar.zst.age --identity key.txt',
    },
    {
      description: 'Verify one in a script, and get the damaged files as JSON.',
      command: '<%= config.bin %> <%= command.id %> ./backups/20261121120000 --json',
    },
  ]

  async run(): Promise<VerifyReport> {
    const {args, flags} = await this.parse(BackupVerify)
    const identities = await identitiesIn(flags.identity)
    const report = await onBackup(args.backup, async () => {
      const backup = await openBackup(args.backup, {identities})
      return verifyReport(backup, await this.#verify(backup, identities))
    })
    if (!report.ok) this.sayNo()
    return this.show(report, verifyText)
  }

  async #verify(backup: Backup, identities: readonly string[]): Promise<VerifyReport['findings']> {
    using progress = this.workProgress()
    return await verifyBackup(backup, {progress, signal: this.signal, identities})
  }
}
