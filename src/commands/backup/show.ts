import {Flags} from '@oclif/core'
import {type BackupShown, backupDetails, backupShown} from '../../cli/backup-details.ts'
import {identitiesIn, identityFlags} from '../../cli/backup-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {pathArg} from '../../cli/flags.ts'
import {onBackup} from '../../cli/given-backup.ts'

export default class BackupShow extends BaseCommand {
  static override readonly summary =
    'Show what a backup is: of which cell and moment, what is in it, and what drills found.'
  static override readonly description =
    'Only its manifest is read: registry backup verify says whether its files are as that says.'
  static override readonly exits = {4: 'it is encrypted, and no given identity opens it', 8: 'it is no backup'}
  static override readonly args = {
    backup: pathArg({
      description: 'The backup: its directory, its archive, or a directory of backup follow.',
      required: true,
    }),
  }
  static override readonly flags = {
    files: Flags.boolean({summary: 'Show all of its files.', default: false}),
    ...identityFlags,
  }
  static override readonly examples = [
    {description: 'Show a backup.', command: '<%= config.bin %> <%= command.id %> ./backups/20261121120000'},
    {
      description: 'Show the files of an encrypted archive.',
      command: '<%= config.bin %> <%= command.id %> nightly.tar.zst.age --identity key.txt --files',
    },
  ]

  async run(): Promise<BackupShown> {
    const {args, flags} = await this.parse(BackupShow)
    const {openAnyBackup} = await import('../../backup/open-backup.ts')
    const {readProofs} = await import('../../backup/proofs.ts')
    const identities = await identitiesIn(flags.identity)
    const backup = await onBackup(args.backup, async () => await openAnyBackup(args.backup, {identities}))
    return this.show(backupShown(backup, await readProofs(backup.path), flags.files), backupDetails)
  }
}
