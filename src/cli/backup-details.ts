import type {Followed} from '../backup/followed.ts'
import {type ForeignBackup, UNVERIFIED} from '../backup/foreign.ts'
import {type Manifest, type ManifestFile, type ManifestTotals, totalsOf} from '../backup/manifest.ts'
import type {Backup} from '../backup/open-backup.ts'
import type {Proof} from '../backup/proofs.ts'
import {shellWord} from '../base/shell-word.ts'
import {formatBytes} from './bytes.ts'
import {keyValues, localTime, table} from './render.ts'

/** What `backup show` gives. */
export interface BackupShown {
  readonly path: string
  readonly kind: Backup['kind'] | 'foreign'
  readonly encrypted: boolean
  /** Of what is followed this and the next ones are those of its newest base. Null for a backup without a manifest, as others. */
  readonly name: string | null
  readonly madeAt: string | null
  readonly madeBy: string | null
  readonly how: Manifest['how'] | null
  /** Null where that shows only when it is unpacked. */
  readonly cell: Manifest['cell'] | null
  readonly log: Manifest['log']
  readonly skipped: readonly string[]
  readonly directories: readonly string[]
  readonly census: Manifest['census']
  readonly totals: ManifestTotals | null
  /** All files with `--files`, else null. */
  readonly files: readonly ManifestFile[] | null
  /** What is kept besides the base; null for all others. */
  readonly followed: FollowedShown | null
  /** Drills of it, oldest first. */
  readonly drills: readonly Proof[]
}

/** A base and the log behind it can be restored to every entry in between. */
interface FollowedShown {
  readonly history: string
  readonly bases: readonly {readonly path: string; readonly index: number; readonly madeAt: string}[]
  /** Offset after the newest entry. */
  readonly nextOffset: number
  /** When the newest entry was made, ISO 8601; null when none was archived. */
  readonly lastAt: string | null
  readonly otherHistories: readonly string[]
}

export function backupShown(backup: Backup | ForeignBackup, drills: readonly Proof[], withFiles: boolean): BackupShown {
  if (backup.kind === 'foreign') return {...foreignShown(backup), drills}
  const {path, kind, manifest} = backup
  const encrypted = backup.kind === 'archive' && backup.isEncrypted
  const totals = totalsOf(manifest.files)
  const followed = backup.kind === 'followed' ? followedShown(backup.followed) : null
  return {path, kind, encrypted, ...manifest, totals, files: withFiles ? manifest.files : null, followed, drills}
}

function foreignShown({path, kind, cell: {iden, type, version, index}}: ForeignBackup): Omit<BackupShown, 'drills'> {
  return {
    ...{path, kind, encrypted: false, name: null, madeAt: null, madeBy: null, how: null},
    cell: iden === null ? null : {kind: 'synapse', iden, type, name: null, version},
    log: {epoch: null, index, hash: null},
    ...{skipped: [], directories: [], census: {}, totals: null, files: null, followed: null},
  }
}

function followedShown({path, bases, nextOffset, lastTimeMs, others}: Followed): FollowedShown {
  return {
    history: path,
    bases: bases.map((base) => ({path: base.path, index: base.index, madeAt: base.manifest.madeAt})),
    nextOffset,
    lastAt: lastTimeMs === null ? null : new Date(lastTimeMs).toISOString(),
    otherHistories: others,
  }
}

export function backupDetails(shown: BackupShown): string {
  const {cell, log, totals, drills, files, followed} = shown
  const facts = keyValues([
    ['backup', shown.path],
    ['kind', kindText(shown)],
    ['made', madeText(shown)],
    ['cell', cell === null ? 'not known before it is unpacked' : cellText(cell)],
    ['name', cell?.name ?? undefined],
    ['epoch', log.epoch === null ? undefined : String(log.epoch)],
    ['index', log.index === null ? 'not known' : String(log.index)],
    ['files', totals === null ? undefined : totalsText(totals)],
    ['left out', shown.skipped.length === 0 ? undefined : shown.skipped.join('\n')],
    ['census', censusText(shown.census)],
    ...(followed === null ? [] : followedRows(followed)),
    ['drills', drills.length === 0 ? `none yet: registry backup drill ${shellWord(shown.path)}` : drillsText(drills)],
  ])
  return files === null ? facts : `${facts}\n\n${filesTable(files)}`
}

function kindText({kind, encrypted, how}: BackupShown): string {
  if (kind === 'foreign') return `foreign: ${UNVERIFIED}`
  if (kind === 'followed') return 'followed: what comes next is of its newest base'
  return [kind, ...(encrypted ? ['encrypted'] : []), how].join(', ')
}

function madeText({madeAt, madeBy}: BackupShown): string | undefined {
  return madeAt === null ? undefined : `${localTime(Date.parse(madeAt))} by registry ${madeBy}`
}

/** The kind and the type of a registry are one word. */
function cellText({iden, kind, type, version}: Manifest['cell']): string {
  const words = new Set([kind, type, version].filter((text) => text !== null))
  return `${iden} (${[...words].join(' ')})`
}

function totalsText({files, bytes, allocated}: ManifestTotals): string {
  const holes = allocated < bytes ? ` (${formatBytes(allocated)} without holes)` : ''
  return `${files}, ${formatBytes(bytes)}${holes}`
}

type Rows = readonly (readonly [string, string | undefined])[]

function followedRows({history, bases, nextOffset, lastAt, otherHistories}: FollowedShown): Rows {
  const first = bases[0]?.index ?? 0
  const last = lastAt === null ? '' : `, the newest of ${localTime(Date.parse(lastAt))}`
  return [
    ['history', history],
    ['bases', bases.map(({index, madeAt}) => `at index ${index}, ${localTime(Date.parse(madeAt))}`).join('\n')],
    ['log', `index ${first} to ${nextOffset}${last}`],
    ['others', otherHistories.length === 0 ? undefined : otherHistories.join('\n')],
  ]
}

function censusText(census: Manifest['census']): string | undefined {
  const lines = Object.entries(census).map(([name, value]) => `${name} ${value}`)
  return lines.length === 0 ? undefined : lines.join('\n')
}

function drillsText(drills: readonly Proof[]): string {
  return drills.map(({at, result, reason}) => `${localTime(Date.parse(at))} ${result}: ${reason}`).join('\n')
}

function filesTable(files: readonly ManifestFile[]): string {
  return table(files, [
    {header: 'file', value: ({path}) => path},
    {header: 'bytes', value: ({size}) => String(size), align: 'right'},
    {header: 'on disk', value: ({allocated}) => String(allocated), align: 'right'},
    {header: 'sha256', value: ({sha256}) => sha256},
  ])
}
