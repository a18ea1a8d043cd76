import {resolve} from 'node:path'
import {Args, Flags} from '@oclif/core'
import {systemClock} from '../base/clock.ts'
import {CellCommand, cellFlags} from '../cli/cell-command.ts'
import {pathFlag} from '../cli/flags.ts'
import {type LiveBackupReport, liveBackup, liveBackupText} from '../cli/live-backup.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'

/** A large service takes that long before the first piece of it comes. */
const TIMEOUT_MS = 3_600_000

export default class Livebackup extends CellCommand {
  static override readonly summary = 'Back up a running service, ours or a real Synapse one, without stopping it.'
  static override readonly description =
    `The backup is of one moment: every change before it is in it, and none after. Without --stream or --archive it stays at the service: a registry keeps it
in backup:dir. With one of them it comes to this machine, is checked, and nothing of it stays there: --stream DIR makes a directory DIR/NAME, --archive FILE
one file. A backup holds the keys and the passwords of the service, so that who has it can act as the service: --encrypt-to seals an archive. At a leader
and at a mirror it is the same.`
  static override readonly exits = {
    4: 'it does not let you: a backup is for administrators',
    5: 'another backup is being made there, the name is taken, or there is too little room',
    8: 'what came is damaged; nothing was kept',
  }
  static override readonly args = {url: Args.string({description: 'Service to back up, instead of --url.'})}
  static override readonly examples = [
    {description: 'Back up the registry of this machine.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'Fetch a backup of a Cortex into /srv/backups.',
      command: '<%= config.bin %> <%= command.id %> aha://cortex... --stream /srv/backups',
    },
    {
      description: 'Make one encrypted file.',
      command:
        '<%= config.bin %> <%= command.id %> --archive /srv/registry.tar.zst.age --encrypt-to @/etc/registry/backup.pub',
    },
  ]
  static override readonly flags = {
    name: pathFlag({summary: 'Name of the backup; the local time unless given.', helpValue: '<name>'}),
    stream: pathFlag({
      summary: 'Fetch it into this directory of backups.',
      helpValue: '<directory>',
      exclusive: ['archive'],
    }),
    archive: pathFlag({summary: 'Fetch it into this file.', helpValue: '<file>'}),
    'encrypt-to': Flags.string({
      summary:
        'Encrypt the archive for this age recipient, or for those in a file; with --archive. May be given several times.',
      helpValue: 'age1…|@<file>',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    ...cellFlags,
  }

  async run(): Promise<LiveBackupReport> {
    const {args, flags} = await this.parse(Livebackup)
    const {stream, archive, name, timeout} = flags
    const {url, cell} = await this.openFirst(await this.chooseUrls('cell', flags, args.url), flags)
    await using _ends = cell
    using progress = this.workProgress()
    const report = await liveBackup(cell, {
      url: sanitizeUrl(url),
      name,
      stream: stream === undefined ? undefined : resolve(stream),
      archive: archive === undefined ? undefined : resolve(archive),
      recipients: flags['encrypt-to'],
      timeoutMs: timeout ?? TIMEOUT_MS,
      clock: systemClock,
      progress,
      signal: this.signal,
    })
    return this.show(report, liveBackupText)
  }
}
