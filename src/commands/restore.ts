import {basename} from 'node:path'
import {Flags} from '@oclif/core'
import {systemClock} from '../base/clock.ts'
import {identitiesIn, identityFlags} from '../cli/backup-flags.ts'
import {BaseCommand} from '../cli/base-command.ts'
import {confirmFlags} from '../cli/cell-command.ts'
import {confirm} from '../cli/confirm.ts'
import {pathArg} from '../cli/flags.ts'
import {onBackup} from '../cli/given-backup.ts'
import {momentOf, type RestoreReport, restoreAbout, restoreReport, restoreText} from '../cli/restore-text.ts'
import type {RestoreConf, Restoring} from '../server/restoring/restore.ts'

async function readConf(dir: string): Promise<RestoreConf> {
  const {loadConf} = await import('../config/load.ts')
  const {conf} = await loadConf({dir})
  return {minFreePercent: conf['limit:disk:free'] ?? 0, isMirror: conf.mirror !== null, backupDir: conf['backup:dir']}
}

export default class Restore extends BaseCommand {
  static override readonly summary =
    'Restore a backup to a directory, of a registry or of a real Synapse service, up to any moment that it has.'
  static override readonly description =
    `The backup is verified, to the byte, while the new directory is made beside DIR; then it gets the name, and what was there before is kept as
DIR.before-restore-TIME; of the mount point of a volume, within it. When anything fails, DIR is as it was. Its backups stay where they are. A restored registry leads from a new epoch on,
so that mirrors and clients of what went on elsewhere notice; one that was a mirror follows its leader again.`
  static override readonly exits = {
    3: 'the backup does not have that moment',
    5: 'its cell runs, or the directory may not be replaced',
    8: 'it is no backup, or it is damaged',
  }
  static override readonly args = {
    backup: pathArg({
      description: 'The backup: its directory, its archive, or a directory that is followed into.',
      required: true,
    }),
    dir: pathArg({description: 'Data directory to restore to. It need not be there.', required: true}),
  }
  static override readonly examples = [
    {
      description: 'See whether a backup can be restored: all is done but the last step.',
      command: '<%= config.bin %> <%= command.id %> ./backups/20261121120000 ./lab --dry-run',
    },
    {description: 'Restore it.', command: '<%= config.bin %> <%= command.id %> ./backups/20261121120000 ./lab --yes'},
    {
      description: 'Restore it as it was before a mistake.',
      command: '<%= config.bin %> <%= command.id %> ./backups/20261121120000 ./lab --to-time 2026-11-21T11:59:00Z',
    },
  ]
  static override readonly flags = {
    'to-offset': Flags.integer({
      summary: 'Apply the change log up to this entry, and no further.',
      min: 0,
      helpValue: '<offset>',
      exclusive: ['to-time'],
    }),
    'to-time': Flags.string({
      summary: 'Apply the change log up to this time: no entry that was made later. Without a zone it is local time.',
      helpValue: '<time>',
    }),
    ...identityFlags,
    ...confirmFlags,
  }

  async run(): Promise<RestoreReport> {
    const {args, flags} = await this.parse(Restore)
    const {openSource} = await import('../server/restoring/restore-source.ts')
    const {Restoring} = await import('../server/restoring/restore.ts')
    const last = momentOf(flags['to-offset'], flags['to-time'])
    const identities = await identitiesIn(flags.identity)
    const {signal} = this
    const source = await onBackup(args.backup, async () => await openSource(args.backup, {identities, signal}))
    using progress = this.workProgress()
    const wallMs = () => systemClock.wallMs()
    await using restoring = await Restoring.open({
      source,
      dir: args.dir,
      last,
      progress,
      signal,
      wallMs,
      readConf,
    })
    if (!flags['dry-run']) await this.#confirm(restoring, flags.yes)
    const restored = await onBackup(args.backup, async () => await restoring.prepare())
    const done = flags['dry-run'] ? undefined : await restoring.swap()
    return this.show(restoreReport(source, restoring.plan, restored, done), restoreText)
  }

  /** Only where something is taken away. Another cell is to be named. */
  async #confirm({plan}: Restoring, isGiven: boolean): Promise<void> {
    if (plan.target.was !== 'cell') return
    const isAskable = process.stdin.isTTY && process.stderr.isTTY && !this.jsonEnabled()
    const name = plan.otherCell === null ? undefined : basename(plan.dir)
    const what = `replace ${plan.dir} by what the backup holds`
    await confirm({what, name, about: restoreAbout(plan)}, {isGiven, isAskable, signal: this.signal})
  }
}
