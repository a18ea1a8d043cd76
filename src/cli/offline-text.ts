import {type ManifestCell, type ManifestLog, type ManifestTotals, totalsOf} from '../backup/manifest.ts'
import type {LeftItem} from '../backup/tree.ts'
import {formatDuration} from '../base/duration.ts'
import type {OfflineBackup} from '../cell/offline-backup.ts'
import {formatBytes} from './bytes.ts'
import {printable} from './printable.ts'

/** What is left out is named up to so many times. */
const LEFT_MAX = 20
const WHY: Readonly<Record<LeftItem['reason'], string>> = {
  asked: '--skip',
  always: 'never part of a backup',
  socket: 'a socket',
  link: 'a link: what it leads to is not in the backup',
  device: 'neither a file nor a directory',
}

/** What `backup SRC DST` gives. */
export interface OfflineReport {
  /** As it was given. */
  readonly source: string
  /** Absolute. */
  readonly backup: string
  readonly kind: 'directory' | 'archive'
  readonly cell: ManifestCell
  readonly madeAt: string
  readonly log: ManifestLog
  /** Sizes are those of the files in it. */
  readonly totals: ManifestTotals
  /** Length of an archive; null for a directory. */
  readonly archiveBytes: number | null
  readonly encrypted: boolean
  /** What was looked at to know that the service does not run. */
  readonly checked: string
  readonly left: readonly LeftItem[]
  readonly notes: readonly string[]
  readonly tookMs: number
}

export interface OfflineFacts {
  readonly source: string
  readonly tookMs: number
  readonly archive?: {readonly bytes: number; readonly isEncrypted: boolean} | undefined
}

export function offlineReport(done: OfflineBackup, {source, tookMs, archive}: OfflineFacts): OfflineReport {
  const {path, manifest, checked, left, notes} = done
  const {cell, madeAt, log, files} = manifest
  return {
    source,
    backup: path,
    kind: archive === undefined ? 'directory' : 'archive',
    ...{cell, madeAt, log, totals: totalsOf(files)},
    archiveBytes: archive?.bytes ?? null,
    encrypted: archive?.isEncrypted ?? false,
    ...{checked, left, notes, tookMs: Math.round(tookMs)},
  }
}

export function offlineText(report: OfflineReport): string {
  const {cell, source, backup, log, totals, archiveBytes, checked, left, notes, tookMs} = report
  const {type, name, iden} = cell
  const size = `${totals.files} ${totals.files === 1 ? 'file' : 'files'}, ${formatBytes(totals.bytes)}`
  const packed = archiveBytes === null ? '' : `, packed into ${formatBytes(archiveBytes)}`
  const lines = [
    `backed up ${source} to ${backup}`,
    `  of       ${[type ?? cell.kind, name, iden].filter((text) => text !== null).join(' ')}`,
    `  index    ${log.index ?? 'not known'}${log.epoch === null ? '' : ` of epoch ${log.epoch}`}`,
    `  size     ${size}${packed}, in ${formatDuration(Math.max(1, tookMs))}`,
    `  stopped  ${checked}`,
    ...left.slice(0, LEFT_MAX).map(({path, reason}) => `  without  ${path} (${WHY[reason]})`),
  ]
  if (left.length > LEFT_MAX) lines.push(`  without  ${left.length - LEFT_MAX} more`)
  for (const note of notes) lines.push(`note: ${note}`)
  return lines.map((line) => printable(line)).join('\n')
}
