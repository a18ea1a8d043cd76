import type {Manifest} from '../backup/manifest.ts'
import type {Proof} from '../backup/proofs.ts'
import type {KeepReason} from '../backup/retention.ts'
import type {ShelfItem} from '../backup/shelf.ts'
import {formatBytes} from './bytes.ts'
import {type Column, localTime, table} from './render.ts'

/** A backup under `--json`. */
export interface ShelfReport {
  /** Path below the directory of backups. */
  readonly name: string
  readonly path: string
  readonly kind: ShelfItem['kind']
  /** Bytes on the disk. */
  readonly bytes: number
  /** Null for what cannot be read, as the next ones. */
  readonly cell: Manifest['cell'] | null
  readonly madeAt: string | null
  readonly how: Manifest['how'] | null
  readonly log: Manifest['log'] | null
  readonly files: number | null
  /** The newest drill. */
  readonly drill: Pick<Proof, 'at' | 'result' | 'reason'> | null
  /** A drill restored it, and none failed to since. */
  readonly proven: boolean
  /** What is wrong with it. */
  readonly reason: string | null
}

export function shelfReport(item: ShelfItem): ShelfReport {
  const {name, path, kind, bytes, manifest, about, proof, isProven, reason} = item
  return {
    ...{name, path, kind, bytes},
    cell: manifest?.cell ?? about?.cell ?? null,
    madeAt: madeAtOf(item),
    how: manifest?.how ?? null,
    log: manifest?.log ?? (about === undefined ? null : {epoch: null, index: about.index, hash: null}),
    files: manifest?.files ?? null,
    drill: proof === undefined ? null : {at: proof.at, result: proof.result, reason: proof.reason},
    proven: isProven,
    reason: reason ?? null,
  }
}

/** Lays out what a directory of backups has. */
export function shelfTable(items: readonly ShelfItem[]): string {
  const isSound = items.every(({reason}) => reason === undefined)
  return table(items, isSound ? SHELF_COLUMNS : [...SHELF_COLUMNS, REASON])
}

/** Lays out what goes and what stays, and why. */
export function pruneTable(
  going: readonly ShelfItem[],
  staying: ReadonlyMap<ShelfItem, readonly KeepReason[]>,
): string {
  const rows = [
    ...going.map((item) => ({item, fate: 'goes'})),
    ...[...staying].map(([item, reasons]) => ({item, fate: `stays: ${reasons.join(', ')}`})),
  ]
  return table(rows, [
    {header: 'name', value: ({item}) => item.name, isWhole: true},
    {header: 'made', value: ({item}) => madeText(item)},
    {header: 'of', value: ({item}) => cellText(item.manifest?.cell)},
    {header: 'size', value: ({item}) => formatBytes(item.bytes), align: 'right'},
    {header: 'fate', value: ({fate}) => fate, isWhole: true},
  ])
}

/** Says whose backup it is, shortly. */
function cellText(cell: Manifest['cell'] | undefined): string {
  return cell === undefined ? '-' : (cell.name ?? `${cell.type ?? cell.kind} ${cell.iden.slice(0, 8)}`)
}

const SHELF_COLUMNS: readonly Column<ShelfItem>[] = [
  {header: 'name', value: ({name}) => name, isWhole: true},
  {header: 'kind', value: ({kind, manifest}) => (manifest === undefined ? kind : `${kind}, ${manifest.how}`)},
  {header: 'of', value: ({manifest, about}) => cellText(manifest?.cell ?? about?.cell)},
  {header: 'made', value: madeText, isWhole: true},
  {header: 'index', value: ({manifest, about}) => String(manifest?.log.index ?? about?.index ?? '-'), align: 'right'},
  {header: 'size', value: ({bytes}) => formatBytes(bytes), align: 'right'},
  {
    header: 'drill',
    value: ({proof}) => (proof === undefined ? '-' : `${proof.result} ${localTime(Date.parse(proof.at))}`),
  },
]
const REASON: Column<ShelfItem> = {header: 'reason', value: ({reason}) => reason ?? ''}

function madeText(item: ShelfItem): string {
  const madeAt = madeAtOf(item)
  return madeAt === null ? '-' : localTime(Date.parse(madeAt))
}

/** Of what is followed, when the newest of it was made. */
function madeAtOf({manifest, about}: ShelfItem): string | null {
  return manifest?.madeAt ?? about?.madeAt ?? null
}
