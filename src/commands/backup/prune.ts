import {Flags} from '@oclif/core'
import {systemClock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import {identitiesIn, identityFlags} from '../../cli/backup-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {confirmFlags} from '../../cli/cell-command.ts'
import {confirm} from '../../cli/confirm.ts'
import {pathArg} from '../../cli/flags.ts'
import {type Pruned, type PrunePlan, planPrune, prunedReport, prunedText} from '../../cli/prune-plan.ts'
import {shelfDir} from '../../cli/shelf-dir.ts'
import {pruneTable} from '../../cli/shelf-text.ts'

function keepFlag(what: string) {
  return Flags.integer({summary: what, helpValue: '<number>', min: 0, max: 100_000})
}

export default class BackupPrune extends BaseCommand {
  static override readonly summary = 'Remove old backups by rules, after showing which.'
  static override readonly description =
    `Each cell's backups are looked at for themselves. The newest always stays, and so does the last one that a drill proved. What cannot be read stays, and what
is being written. It is to be confirmed, or needs --yes.`
  static override readonly exits = {3: 'there is no such directory'}
  static override readonly args = {
    dir: pathArg({
      description: 'Directory with backups. Without it: the backup:dir of the data directory, else backups in that.',
    }),
  }
  static override readonly flags = {
    'keep-last': keepFlag('Keep so many of the newest.'),
    'keep-daily': keepFlag('Keep the newest of each of so many days that have one, by UTC.'),
    'keep-weekly': keepFlag('Keep the newest of each of so many weeks; they begin on Monday.'),
    'keep-monthly': keepFlag('Keep the newest of each of so many months.'),
    incomplete: Flags.boolean({summary: 'Remove also what was begun and never finished.', default: false}),
    ...identityFlags,
    ...confirmFlags,
  }
  static override readonly examples = [
    {
      description: 'See what would go.',
      command: '<%= config.bin %> <%= command.id %> --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --dry-run',
    },
    {
      description: 'Keep the newest ten, without being asked.',
      command: '<%= config.bin %> <%= command.id %> ./backups --keep-last 10 --incomplete --yes',
    },
  ]

  async run(): Promise<Pruned> {
    const {args, flags} = await this.parse(BackupPrune)
    const {'keep-last': last, 'keep-daily': daily, 'keep-weekly': weekly, 'keep-monthly': monthly} = flags
    const isAsked = [last, daily, weekly, monthly].some((count) => count !== undefined)
    if (!isAsked && !flags.incomplete) {
      throw new RegistryError('REG_USAGE', 'nothing says what to keep', {
        hints: ['registry backup prune --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --dry-run'],
      })
    }
    const {readOwnShelf, readShelf} = await import('../../backup/shelf.ts')
    const dir = await shelfDir(args.dir)
    const read = args.dir === undefined ? readOwnShelf : readShelf
    const items = await read(dir, {identities: await identitiesIn(flags.identity), signal: this.signal})
    const rules = isAsked ? {last: last ?? 0, daily: daily ?? 0, weekly: weekly ?? 0, monthly: monthly ?? 0} : undefined
    const plan = await planPrune(items, {rules, isIncomplete: flags.incomplete, nowMs: systemClock.wallMs()})
    for (const text of plan.notes) this.say(text)
    const isDry = flags['dry-run']
    if (plan.going.length > 0) await this.#confirm(dir, plan, flags.yes || isDry)
    if (!isDry) await this.#remove(plan)
    return this.show(prunedReport(dir, plan, isDry), (report) => prunedText(report, plan))
  }

  async #confirm(dir: string, {going, staying}: PrunePlan, isGiven: boolean): Promise<void> {
    const isAskable = process.stdin.isTTY && process.stderr.isTTY && !this.jsonEnabled()
    const about = pruneTable(going, staying).split('\n')
    const what = `remove ${going.length === 1 ? 'one backup' : `${going.length} backups`} from ${dir}`
    await confirm({what, about}, {isGiven, isAskable, signal: this.signal})
  }

  async #remove({going}: PrunePlan): Promise<void> {
    const {removeBackup} = await import('../../backup/remove-backup.ts')
    const {removeLeftStaging} = await import('../../backup/stage.ts')
    for (const {kind, path} of going) {
      this.signal.throwIfAborted()
      if (kind === 'incomplete') await removeLeftStaging(path)
      else await removeBackup(path)
    }
  }
}
