import {expect, test} from 'vitest'
import type {Followed} from '../../src/backup/followed.ts'
import {verifyReport, verifyText} from '../../src/cli/backup-text.ts'
import {stagedManifest} from '../support/staged-backup.ts'

const BACKUP = {kind: 'directory', path: '/b', manifest: stagedManifest('b', 'content')} as const

test('of a backup that is whole, it is said what it is', () => {
  const report = verifyReport(BACKUP, [])
  expect(report).toMatchObject({ok: true, backup: '/b', files: 1, bytes: 7, findings: []})
  expect(verifyText(report)).toMatch(/^\/b is whole: 1 file, 7 B, of registry (cd){16} at index 5, 2026-11-2\d /)
})

test('of a damaged one, each file is named', () => {
  const report = verifyReport(BACKUP, [{path: 'certs/\u001b[31m', problem: 'altered'}])
  expect(report.ok).toBe(false)
  const text = verifyText(report)
  expect(text).toMatch(/^PROBLEM +FILE\naltered +certs\/\\x1b\[31m\n\n\/b is damaged/)
})

test('of what is followed, it is said up to when: its index is that of the newest change, and so is the time', () => {
  const {manifest} = BACKUP
  const base = {path: '/f/history-1/base', manifest, index: 5, hash: 'ab'}
  const kept = {nextOffset: 9, lastHash: 'cd', lastTimeMs: Date.parse(manifest.madeAt) + 5000, bases: [base]}
  const followed = kept as unknown as Followed
  const report = verifyReport({kind: 'followed', path: '/f', manifest, followed}, [])
  expect(report).toMatchObject({madeAt: new Date(kept.lastTimeMs).toISOString(), log: {index: 9}})
})
