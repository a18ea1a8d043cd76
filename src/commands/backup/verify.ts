import {Args} from '@oclif/core'
import {openBackup, verifyBackup} from '../../backup/open-backup.ts'
import {type VerifyReport, verifyReport, verifyText} from '../../cli/backup-text.ts'
import {BaseCommand} from '../../cli/base-command.ts'

export default class BackupVerify extends BaseCommand {
  static override readonly summary =
    'Verify that a backup is whole: every byte of it is read and compared with its manifest. Ends with 8 if it is not.'
  static override readonly description =
    'Files that are missing, altered, or not known to the manifest are named. Nothing is changed, and nothing is asked of the service.'
  static override readonly exits = {8: 'it is no backup, or it is damaged'}
  static override readonly args = {
    backup: Args.string({description: 'The backup: its directory.', required: true}),
  }
  static override readonly examples = [
    {
      description: 'Verify a backup.',
      command: '<%= config.bin %> <%= command.id %> ./backups/20261121120000',
    },
    {
      description: 'Verify one in a script, and get the damaged files as JSON.',
      command: '<%= config.bin %> <%= command.id %> ./backups/20261121120000 --json',
    },
  ]

  async run(): Promise<VerifyReport> {
    const {args} = await this.parse(BackupVerify)
    const backup = await openBackup(args.backup)
    const report = verifyReport(backup, await this.#verify(backup))
    if (!report.ok) this.sayNo()
    return this.show(report, verifyText)
  }

  async #verify(backup: Parameters<typeof verifyBackup>[0]): Promise<VerifyReport['findings']> {
    using progress = this.workProgress()
    return await verifyBackup(backup, {progress, signal: this.signal})
  }
}
