import {type Followed, keptUntilMs} from '../backup/followed.ts'
import type {Manifest} from '../backup/manifest.ts'
import {totalsOf} from '../backup/manifest.ts'
import type {Backup} from '../backup/open-backup.ts'
import type {Finding} from '../backup/verify.ts'
import {formatBytes} from './bytes.ts'
import {localTime, table} from './render.ts'

/** What `backup verify` gives. */
export interface VerifyReport {
  readonly ok: boolean
  /** Absolute. */
  readonly backup: string
  readonly kind: Backup['kind']
  readonly cell: Manifest['cell']
  readonly madeAt: string
  readonly how: Manifest['how']
  readonly log: Manifest['log']
  readonly files: number
  readonly bytes: number
  /** What is not as the manifest says; nothing when it is whole. */
  readonly findings: readonly Finding[]
}

export function verifyReport(backup: Backup, findings: readonly Finding[]): VerifyReport {
  const {kind, path, manifest} = backup
  const {cell, how} = manifest
  // Of what is followed: as far as its log goes.
  const log = backup.kind === 'followed' ? {...manifest.log, ...endOf(backup.followed)} : manifest.log
  const madeAt = backup.kind === 'followed' ? new Date(keptUntilMs(backup.followed)).toISOString() : manifest.madeAt
  const {files, bytes} = totalsOf(manifest.files)
  return {ok: findings.length === 0, backup: path, kind, cell, madeAt, how, log, files, bytes, findings}
}

export function verifyText(report: VerifyReport): string {
  const {backup, findings, files, bytes} = report
  if (findings.length === 0) {
    return `${backup} is whole: ${files} ${files === 1 ? 'file' : 'files'}, ${formatBytes(bytes)}, of ${cellText(report)}`
  }
  const rows = table(findings, [
    {header: 'problem', value: ({problem}) => problem},
    {header: 'file', value: ({path}) => path},
  ])
  return `${rows}\n\n${backup} is damaged: restore from another one`
}

/** Says whose backup it is, and of when. */
function cellText({cell, madeAt, log}: VerifyReport): string {
  const name = cell.name ?? `${cell.type ?? cell.kind} ${cell.iden}`
  const index = log.index === null ? '' : ` at index ${log.index}`
  return `${name}${index}, ${localTime(Date.parse(madeAt))}`
}

function endOf({nextOffset, lastHash}: Followed): Partial<Manifest['log']> {
  return {index: nextOffset, hash: lastHash}
}
