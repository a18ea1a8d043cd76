import {expect, test} from 'vitest'
import {offlineReport, offlineText} from '../../src/cli/offline-text.ts'

const MANIFEST = {
  name: 'b1',
  madeAt: '2026-11-21T12:00:00.000Z',
  madeBy: '0.1.0',
  how: 'offline',
  cell: {kind: 'synapse', iden: 'cd'.repeat(16), type: 'axon', name: '00.axon.demo.net', version: '2.256.0'},
  log: {epoch: null, index: 61, hash: null},
  skipped: [],
  directories: [],
  files: [{path: 'cell.guid', size: 2048, allocated: 4096, sha256: 'ab'.repeat(32)}],
  census: {},
} as const

const DONE = {
  path: '/b/b1',
  manifest: MANIFEST,
  checked: 'cell.guid is not locked',
  left: [{path: 'link', reason: 'link'}],
  notes: ['install mdb_copy'],
} as const

test('a backup is told with where it is, what it is of, and what was looked at', () => {
  const report = offlineReport(DONE, {source: './axon', tookMs: 1200.4})
  expect(report).toMatchObject({
    ...{kind: 'directory', archiveBytes: null, encrypted: false, tookMs: 1200},
    totals: {files: 1, bytes: 2048, allocated: 4096},
  })
  expect(offlineText(report).split('\n')).toEqual([
    'backed up ./axon to /b/b1',
    `  of       axon 00.axon.demo.net ${'cd'.repeat(16)}`,
    '  index    61',
    '  size     1 file, 2 KiB, in 1.2s',
    '  stopped  cell.guid is not locked',
    '  without  link (a link: what it leads to is not in the backup)',
    'note: install mdb_copy',
  ])
})

test('an archive is told with its length, and an epoch where there is one', () => {
  const manifest = {...MANIFEST, log: {epoch: 3, index: 12, hash: 'ef'.repeat(32)}}
  const report = offlineReport({...DONE, manifest}, {source: 'x', tookMs: 5, archive: {bytes: 512, isEncrypted: true}})
  expect(report).toMatchObject({kind: 'archive', archiveBytes: 512, encrypted: true})
  expect(offlineText(report)).toContain('1 file, 2 KiB, packed into 512 B, in ')
  expect(offlineText(report)).toContain('index    12 of epoch 3')
})

test('of many things that are left out, the first are named', () => {
  const left = Array.from({length: 25}, (_, i) => ({path: `l${i}`, reason: 'link'}) as const)
  const text = offlineText(offlineReport({...DONE, left}, {source: 'x', tookMs: 1}))
  expect(text.match(/without/g)).toHaveLength(21)
  expect(text).toContain('without  5 more')
})
