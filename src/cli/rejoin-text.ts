import {shellWord} from '../base/shell-word.ts'
import {printable} from './printable.ts'
import {localTime} from './render.ts'

/** What is known of a rejoining before it is done. */
interface Plan {
  readonly member: {readonly name: string; readonly epoch: number; readonly nextOffset: number}
  readonly leader: {readonly name: string; readonly url: string; readonly epoch: number; readonly nextOffset: number}
  readonly parting: {readonly offset: number; readonly isExact: boolean}
  readonly lost: {
    readonly count: number
    readonly firstMs: number | null
    readonly lastMs: number | null
    readonly kinds: readonly (readonly [kind: string, count: number])[]
  }
  readonly isBeginning: boolean
}

/** What the command answers under `--json`. */
export interface RejoinReport {
  readonly changed: boolean
  readonly dryRun: boolean
  readonly dir: string
  readonly member: Plan['member']
  readonly leader: Plan['leader']
  /** First offset at which the logs differ; `exact` is false when they may have parted before, in entries that were trimmed. */
  readonly parted: {readonly offset: number; readonly exact: boolean}
  /** Entries that only this member has, or had. */
  readonly lost: {
    readonly count: number
    readonly firstAt: string | null
    readonly lastAt: string | null
    readonly kinds: Readonly<Record<string, number>>
    /** Where they were saved; null when there were none, or nothing was done. */
    readonly file: string | null
  }
  /** Nothing is to be done: the member follows by itself when it starts. */
  readonly followsByItself: boolean
  /** Next offset of the copy; null when none was taken. */
  readonly copiedTo: number | null
}

export function rejoinReport(
  dir: string,
  {member, leader, parting, lost, isBeginning}: Plan,
  done: {readonly file: string | null; readonly nextOffset: number} | undefined,
  dryRun: boolean,
): RejoinReport {
  const {count, firstMs, lastMs, kinds} = lost
  return {
    changed: done !== undefined,
    dryRun,
    dir,
    member,
    leader,
    parted: {offset: parting.offset, exact: parting.isExact},
    lost: {
      count,
      firstAt: isoOf(firstMs),
      lastAt: isoOf(lastMs),
      kinds: Object.fromEntries(kinds),
      file: done?.file ?? null,
    },
    followsByItself: isBeginning,
    copiedTo: done?.nextOffset ?? null,
  }
}

/** Says what would be lost, one line each. */
export function rejoinAbout({leader, parting, lost}: Plan): readonly string[] {
  const {count, firstMs, lastMs, kinds} = lost
  const parted = `the logs part at offset ${parting.offset}${parting.isExact ? '' : ', or before: older entries were trimmed away'}`
  if (count === 0) return [parted, `this member has nothing that ${leader.name} lacks`]
  const times = firstMs === null || lastMs === null ? '' : `, from ${localTime(firstMs)} to ${localTime(lastMs)}`
  const few = kinds.map(([kind, many]) => `${many} ${kind}`).join(', ')
  return [parted, `${count === 1 ? '1 entry is' : `${count} entries are`} only here${times}: ${few}`]
}

export function rejoinText(report: RejoinReport): string {
  const {dir, member, leader, lost, parted, followsByItself, copiedTo} = report
  const {count, firstAt, lastAt, kinds, file} = lost
  const range = {firstMs: msOf(firstAt), lastMs: msOf(lastAt), kinds: Object.entries(kinds)}
  const plan = {member, leader, parting: {offset: parted.offset, isExact: parted.exact}, isBeginning: followsByItself}
  const head = `${leader.name} leads, in epoch ${leader.epoch}, at offset ${leader.nextOffset}; this member is at offset ${member.nextOffset} of epoch ${member.epoch}`
  const lines = [head, ...rejoinAbout({...plan, lost: {count, ...range}})]
  if (followsByItself) lines.push('it follows by itself when it starts: nothing is to be done')
  if (file !== null)
    lines.push(`saved to ${file}`, `look at them with: registry service history --file ${shellWord(file)}`)
  if (copiedTo !== null)
    lines.push(`copied from ${leader.name}, up to offset ${copiedTo}`, `next: registry serve ${shellWord(dir)}`)
  return lines.map((line) => printable(line)).join('\n')
}

function isoOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

function msOf(iso: string | null): number | null {
  return iso === null ? null : Date.parse(iso)
}
