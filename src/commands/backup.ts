import {Flags} from '@oclif/core'
import {systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {ArchiveWish} from '../cell/offline-backup.ts'
import {BaseCommand} from '../cli/base-command.ts'
import {pathArg} from '../cli/flags.ts'
import {type OfflineReport, offlineReport, offlineText} from '../cli/offline-text.ts'

export default class Backup extends BaseCommand {
  static override readonly summary =
    'Back up a stopped service from its data directory: a registry, or a real Synapse service.'
  static override readonly description =
    `The backup is a directory that is not there yet, or with --archive one file. It has its name when all of it is on the disk; until then, and after a failure,
there is nothing. Every file is in its manifest with size and hash. The service cannot start while it is copied. Sockets, tmp, backups and locks are
no part of it; databases are compacted: that of a registry always, those of Synapse where mdb_copy is installed.`
  static override readonly exits = {
    2: 'there is no service in the directory, or what is there cannot be read',
    5: 'it runs, the place is taken, or there is too little room',
  }
  static override readonly args = {
    source: pathArg({description: 'Data directory of the service.', required: true}),
    target: pathArg({
      description: 'The backup: a directory, or with --archive a file, that is not there yet.',
      required: true,
    }),
  }
  static override readonly examples = [
    {
      description: 'Back up an Axon that was stopped.',
      command: '<%= config.bin %> <%= command.id %> ./axon ./backups/axon-20261121',
    },
    {
      description: 'Make one encrypted file of it.',
      command:
        '<%= config.bin %> <%= command.id %> ./axon ./axon.tar.zst.age --archive --encrypt-to age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p',
    },
    {
      description: 'Leave the history of edits of a Cortex out.',
      command: `<%= config.bin %> <%= command.id %> ./cortex ./backups/cortex --skip '**/nodeedits.lmdb'`,
    },
  ]
  static override readonly flags = {
    skip: Flags.string({
      summary: 'Leave out what matches, relative to the data directory. May be given several times.',
      helpValue: '<glob>',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    archive: Flags.boolean({summary: 'Make TARGET one file: a tar, compressed by zstd.', default: false}),
    'encrypt-to': Flags.string({
      summary:
        'Encrypt the archive for this age recipient, or for those in a file; with --archive. May be given several times.',
      helpValue: 'age1…|@<file>',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
  }

  async run(): Promise<OfflineReport> {
    const {args, flags} = await this.parse(Backup)
    if (flags['encrypt-to'].length > 0 && !flags.archive)
      throw new RegistryError('REG_USAGE', 'only an archive can be encrypted: give --archive as well')
    const {parseRecipients} = await import('../backup/age-keys.ts')
    const recipients = await parseRecipients(flags['encrypt-to'])
    const begunMs = systemClock.monotonicMs()
    using progress = this.workProgress()
    const wish = {from: args.source, to: args.target, skip: flags.skip, recipients, progress, signal: this.signal}
    const report = await this.#backUp({...wish, wallMs: () => systemClock.wallMs()}, flags.archive, begunMs)
    return this.show(report, offlineText)
  }

  async #backUp(wish: ArchiveWish, isArchive: boolean, begunMs: number): Promise<OfflineReport> {
    const {archiveOffline, backUpOffline} = await import('../cell/offline-backup.ts')
    const source = wish.from
    const tookMs = () => systemClock.monotonicMs() - begunMs
    if (!isArchive) {
      const done = await backUpOffline(wish)
      return offlineReport(done, {source, tookMs: tookMs()})
    }
    const done = await archiveOffline(wish)
    const archive = {bytes: done.bytes, isEncrypted: wish.recipients.length > 0}
    return offlineReport(done, {source, tookMs: tookMs(), archive})
  }
}
