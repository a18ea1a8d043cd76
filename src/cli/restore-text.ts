import {RegistryError} from '../base/errors.ts'
import {shellWord} from '../base/shell-word.ts'
import {givenTimeMs} from './given-time.ts'
import {printable} from './printable.ts'
import {localTime} from './render.ts'

interface Plan {
  readonly dir: string
  readonly cell: {
    readonly kind: 'registry' | 'synapse'
    readonly iden: string
    readonly type: string | null
    readonly version: string | null
  }
  readonly target: {readonly was: 'absent' | 'empty' | 'cell'; readonly checked: string | null}
  readonly isWithin: boolean
  readonly otherCell: string | null
  readonly warnings: readonly string[]
}

interface History {
  readonly role: 'leader' | 'mirror'
  readonly lastOffset: number | null
  readonly lastTimeMs: number | null
  readonly epoch: number
  readonly nextOffset: number
  readonly others: readonly string[]
  readonly leader: string | null
}

/** What the command answers under `--json`. */
export interface RestoreReport {
  readonly changed: boolean
  readonly dryRun: boolean
  readonly backup: {readonly path: string; readonly name: string; readonly madeAt: string | null}
  readonly cell: Plan['cell']
  readonly dir: string
  /** Where the directory is that was there before; null when there was none. */
  readonly kept: string | null
  /** Where the backup is now, which lay in the directory that was replaced; null when it did not. */
  readonly movedBackup: string | null
  /** Whom root gave the directory to, numbers of the system; null when that was not needed. */
  readonly owner: {readonly uid: number; readonly gid: number; readonly isGiven: boolean} | null
  readonly files: number
  /** Null for a Synapse service. */
  readonly history: {
    readonly role: 'leader' | 'mirror'
    /** The newest entry of the old history that was restored. */
    readonly offset: number | null
    readonly at: string | null
    /** Of the restored log. */
    readonly epoch: number
    readonly index: number
    readonly leader: string | null
    readonly others: readonly string[]
  } | null
  readonly warnings: readonly string[]
  /** What to do next, one command each. */
  readonly next: readonly string[]
}

interface Done {
  readonly kept: string | null
  readonly movedBackup: string | null
  readonly owner: RestoreReport['owner']
}

export function restoreReport(
  {path, name, madeAt}: RestoreReport['backup'],
  plan: Plan,
  {history, files}: {readonly history: History | undefined; readonly files: number},
  done: Done | undefined,
): RestoreReport {
  return {
    changed: done !== undefined,
    dryRun: done === undefined,
    backup: {path, name, madeAt},
    cell: plan.cell,
    dir: plan.dir,
    kept: done?.kept ?? null,
    movedBackup: done?.movedBackup ?? null,
    owner: done?.owner ?? null,
    files,
    history: history === undefined ? null : historyReport(history),
    warnings: [...(plan.otherCell === null ? [] : [otherCellLine(plan.otherCell, plan)]), ...plan.warnings],
    next: done === undefined ? [] : [...ownerSteps(plan, done), ...nextSteps(plan, history)],
  }
}

function historyReport({role, lastOffset, lastTimeMs, epoch, nextOffset, leader, others}: History) {
  const at = lastTimeMs === null ? null : new Date(lastTimeMs).toISOString()
  return {role, offset: lastOffset, at, epoch, index: nextOffset, leader, others}
}

function ownerSteps({dir}: Plan, {owner}: Done): readonly string[] {
  return owner === null || owner.isGiven ? [] : [`chown -R ${owner.uid}:${owner.gid} ${shellWord(dir)}`]
}

function nextSteps({dir, cell: {kind, type, version}}: Plan, history: History | undefined): readonly string[] {
  if (kind === 'synapse') {
    const server = type === null ? 'the service' : `python -m synapse.servers.${type} ${shellWord(dir)}`
    const wanted = version === null ? '' : `, of Synapse ${version} or newer`
    return [
      `start ${server}${wanted}, as it was started before`,
      'make each of its mirrors anew, from an empty directory',
    ]
  }
  const url = shellWord(`cell://${dir}`)
  const start = [`registry serve ${shellWord(dir)}`, `registry status ${url} --verify`]
  if (history?.role === 'mirror') return start
  // Who has no name of a host is called by its iden, and nobody can be let in by that.
  const names = (history?.others ?? []).filter((name) => !name.startsWith('member '))
  const mirrors = names.map(
    (name) =>
      `registry clone ${name} --url ${url}, and on its host start with an empty directory; or, there: registry rejoin DIR`,
  )
  return [...start, ...mirrors]
}

/** Says what the swap does to a directory that is there, one line each. */
export function restoreAbout({dir, target, isWithin, otherCell, cell, warnings}: Plan): readonly string[] {
  const kept = isWithin
    ? `what is in ${dir} is kept in ${dir}/.before-restore-TIME`
    : `${dir} is kept beside, under the name ${dir}.before-restore-TIME`
  const lines = [`${kept}; nothing runs there: ${target.checked}`]
  if (otherCell !== null) lines.push(otherCellLine(otherCell, {cell}))
  return [...lines, ...warnings]
}

function otherCellLine(iden: string, {cell}: Pick<Plan, 'cell'>): string {
  return `what is replaced is another cell: ${iden}, and the backup is of ${cell.iden}`
}

export function restoreText(report: RestoreReport): string {
  const {backup, dir, dryRun, kept, movedBackup, owner, history, warnings, next, files} = report
  const made = backup.madeAt === null ? '' : `of ${localTime(Date.parse(backup.madeAt))}, `
  const verb = dryRun ? 'can be restored to' : 'restored to'
  const lines = [`${backup.name}, ${made}${files} files: ${verb} ${dir}`]
  if (history !== null) lines.push(...historyLines(history))
  if (kept !== null) lines.push(`what was there before: ${kept}`)
  if (owner !== null) lines.push(ownerLine(owner))
  if (movedBackup !== null) lines.push(`the backup lay in it, and is now: ${movedBackup}`)
  lines.push(...warnings.map((warning) => `warning: ${warning}`), ...next.map((step) => `next: ${step}`))
  if (dryRun) lines.push('dry run: nothing was replaced')
  return lines.map((line) => printable(line)).join('\n')
}

function ownerLine({uid, gid, isGiven}: NonNullable<RestoreReport['owner']>): string {
  const whom = `user ${uid}, group ${gid}, as what was at its place or around it`
  return isGiven ? `it belongs to ${whom}` : `warning: it belongs to root, and could not be given to ${whom}`
}

function historyLines({
  role,
  offset,
  at,
  epoch,
  index,
  leader,
  others,
}: NonNullable<RestoreReport['history']>): readonly string[] {
  const last = offset === null || at === null ? 'no entries' : `up to entry ${offset}, of ${localTime(Date.parse(at))}`
  if (role === 'mirror')
    return [
      `change log: ${last}; it is a mirror${leader === null ? '' : ` of ${leader}`}, and gets from there what came later`,
    ]
  const lines = [`change log: ${last}; it leads from epoch ${epoch} on, the next entry is ${index}`]
  if (others.length > 0) lines.push(`members that do not follow it as they are: ${others.join(', ')}`)
  return lines
}

/** The last entry that is wanted, or a moment. */
type Moment = {readonly offset: number} | {readonly timeMs: number}

/** Reads `--to-offset` and `--to-time`. @throws RegistryError `REG_USAGE` */
export function momentOf(offset: number | undefined, time: string | undefined): Moment | undefined {
  if (offset !== undefined) return {offset}
  if (time === undefined) return undefined
  const timeMs = givenTimeMs(time)
  if (timeMs !== undefined) return {timeMs}
  throw new RegistryError('REG_USAGE', `--to-time ${time}: expected a time, as 2026-11-21T10:00:00Z`)
}
