import type {KeepReason, KeepRules} from '../backup/retention.ts'
import {retained} from '../backup/retention.ts'
import type {ShelfItem} from '../backup/shelf.ts'
import {isLeftStaging} from '../backup/stage.ts'
import {formatBytes} from './bytes.ts'
import {pruneTable, type ShelfReport, shelfReport} from './shelf-text.ts'

/** What goes from a directory of backups, and what stays. */
export interface PrunePlan {
  readonly going: readonly ShelfItem[]
  readonly staying: ReadonlyMap<ShelfItem, readonly KeepReason[]>
  /** What no rule is asked for: it cannot be read, or not be told. */
  readonly others: readonly ShelfItem[]
  /** What people should know before. */
  readonly notes: readonly string[]
}

/** What `backup prune` gives. */
export interface Pruned {
  readonly dir: string
  readonly dryRun: boolean
  readonly removed: readonly ShelfReport[]
  /** Bytes on the disk that this freed. */
  readonly freedBytes: number
  readonly kept: readonly (ShelfReport & {readonly because: readonly KeepReason[]})[]
  /** What stays without a rule; each says why. */
  readonly others: readonly ShelfReport[]
}

/** Plans. Without rules every backup stays. What is neither going nor staying was not looked at: it cannot be read, or is no backup by itself. */
export async function planPrune(
  items: readonly ShelfItem[],
  {rules, isIncomplete, nowMs}: {rules: KeepRules | undefined; isIncomplete: boolean; nowMs: number},
): Promise<PrunePlan> {
  const known = items.flatMap((item) => (item.manifest && item.reason === undefined ? [{item, of: item.manifest}] : []))
  const asBackups = known.map(({item, of}) => ({
    path: item.path,
    cell: of.cell.iden,
    madeAtMs: Date.parse(of.madeAt),
    isProven: item.isProven,
  }))
  const kept = retained(asBackups, rules ?? {last: known.length, daily: 0, weekly: 0, monthly: 0}, nowMs)
  const going = known.filter(({item}) => !kept.has(item.path)).map(({item}) => item)
  const left = isIncomplete ? await leftOf(items) : []
  const staying = new Map(known.flatMap(({item}) => (kept.has(item.path) ? [[item, kept.get(item.path) ?? []]] : [])))
  const others = items.filter(({reason}) => reason !== undefined)
  return {going: [...going, ...left], staying, others, notes: notesOn(items, isIncomplete)}
}

/** Gives what was not finished and is not being written. */
async function leftOf(items: readonly ShelfItem[]): Promise<readonly ShelfItem[]> {
  const left: ShelfItem[] = []
  for (const item of items) if (item.kind === 'incomplete' && (await isLeftStaging(item.path))) left.push(item)
  return left
}

function notesOn(items: readonly ShelfItem[], isIncomplete: boolean): readonly string[] {
  const notes = items.flatMap(({name, reason}) => (reason === undefined ? [] : [`${name} stays: ${reason}`]))
  const incomplete = items.filter(({kind}) => kind === 'incomplete').length
  if (incomplete === 0 || isIncomplete) return notes
  return [...notes, `${incomplete} not finished: --incomplete removes what nobody is writing`]
}

export function prunedReport(dir: string, {going, staying, others}: PrunePlan, dryRun: boolean): Pruned {
  return {
    dir,
    dryRun,
    removed: going.map(shelfReport),
    freedBytes: going.reduce((sum, {bytes}) => sum + bytes, 0),
    kept: [...staying].map(([item, because]) => ({...shelfReport(item), because})),
    others: others.map(shelfReport),
  }
}

export function prunedText({dir, dryRun, removed, freedBytes}: Pruned, {going, staying}: PrunePlan): string {
  if (removed.length === 0)
    return `nothing goes: ${staying.size} ${staying.size === 1 ? 'backup stays' : 'backups stay'} in ${dir}`
  const count = removed.length === 1 ? 'one backup' : `${removed.length} backups`
  const done = dryRun ? `would remove ${count}` : `removed ${count}`
  return `${pruneTable(going, staying)}\n\n${done}, ${formatBytes(freedBytes)}, from ${dir}`
}
