import {type Manifest, type ManifestFile, type ManifestTotals, totalsOf} from '../backup/manifest.ts'
import type {Backup} from '../backup/open-backup.ts'
import type {Proof} from '../backup/proofs.ts'
import {formatBytes} from './bytes.ts'
import {keyValues, localTime, table} from './render.ts'

/** What `backup show` gives. */
export interface BackupShown extends Omit<Manifest, 'files'> {
  readonly path: string
  readonly kind: Backup['kind']
  readonly encrypted: boolean
  readonly totals: ManifestTotals
  /** All files with `--files`, else null. */
  readonly files: readonly ManifestFile[] | null
  /** Drills of it, oldest first. */
  readonly drills: readonly Proof[]
}

export function backupShown(backup: Backup, drills: readonly Proof[], withFiles: boolean): BackupShown {
  const {path, kind, manifest} = backup
  const encrypted = backup.kind === 'archive' && backup.isEncrypted
  const totals = totalsOf(manifest.files)
  return {path, kind, encrypted, ...manifest, totals, files: withFiles ? manifest.files : null, drills}
}

export function backupDetails(shown: BackupShown): string {
  const {cell, log, totals, drills, files} = shown
  const isHoled = totals.allocated < totals.bytes
  const facts = keyValues([
    ['backup', shown.path],
    ['kind', `${shown.kind}${shown.encrypted ? ', encrypted' : ''}, ${shown.how}`],
    ['made', `${localTime(Date.parse(shown.madeAt))} by registry ${shown.madeBy}`],
    ['cell', `${cell.iden} (${[cell.kind, cell.type, cell.version].filter((text) => text !== null).join(' ')})`],
    ['name', cell.name ?? undefined],
    ['epoch', log.epoch === null ? undefined : String(log.epoch)],
    ['index', log.index === null ? 'not known' : String(log.index)],
    [
      'files',
      `${totals.files}, ${formatBytes(totals.bytes)}${isHoled ? ` (${formatBytes(totals.allocated)} without holes)` : ''}`,
    ],
    ['left out', shown.skipped.length === 0 ? undefined : shown.skipped.join('\n')],
    ['census', censusText(shown.census)],
    ['drills', drills.length === 0 ? `none yet: registry backup drill ${shown.path}` : drillsText(drills)],
  ])
  return files === null ? facts : `${facts}\n\n${filesTable(files)}`
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
