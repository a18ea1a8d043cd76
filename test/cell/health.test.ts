import {expect, test} from 'vitest'
import {type HealthSources, healthReport} from '../../src/cell/health.ts'

const DAY_MS = 86_400_000

const WELL: HealthSources = {
  trouble: () => undefined,
  frozen: () => undefined,
  holds: () => new Map(),
  disk: () => ({freePercent: 50, minPercent: 5}),
  certificates: () => [{listener: 'https', beginsAtMs: 0, expiresAtMs: 30 * DAY_MS}],
  nowMs: () => 0,
  services: () => ({all: 3, critical: 1}),
  membership: () => undefined,
  mirroring: () => undefined,
  backup: () => undefined,
  archivers: () => undefined,
  replaced: () => undefined,
}

function statusOf(sources: Partial<HealthSources>, name: string) {
  const report = healthReport('iden', {...WELL, ...sources})
  return [report.status, report.components.find((component) => component.name === name)]
}

test('a cell that does well is nominal in all its parts', () => {
  expect(healthReport('iden', WELL)).toEqual({
    iden: 'iden',
    status: 'nominal',
    components: [
      {name: 'store', status: 'nominal', mesg: '', data: {}},
      {name: 'changes', status: 'nominal', mesg: '', data: {readonly: false}},
      {name: 'disk', status: 'nominal', mesg: '', data: {free: 50, limit: 5}},
      {name: 'certificates', status: 'nominal', mesg: '', data: {https: 30 * DAY_MS}},
      {name: 'services', status: 'nominal', mesg: '', data: {count: 3, critical: 1}},
    ],
  })
})

test('a store that fails degrades the cell and says why and since when', () => {
  const trouble = () => ({sinceMs: 7, reason: 'the disk is full'})
  const mesg = 'changes are refused: the disk is full'
  expect(statusOf({trouble}, 'store')).toEqual([
    'degraded',
    {name: 'store', status: 'degraded', mesg, data: {since: 7}},
  ])
})

test('a certificate that expires soon, or has expired, degrades the cell; without any none is mentioned', () => {
  const certificates = () => [
    {listener: 'telepath', beginsAtMs: -90 * DAY_MS, expiresAtMs: 6.5 * DAY_MS},
    {listener: 'https', beginsAtMs: -90 * DAY_MS, expiresAtMs: -1},
  ]
  expect(statusOf({certificates}, 'certificates')).toMatchObject([
    'degraded',
    {
      mesg: 'that of telepath expires in 6 days, at 1970-01-07T12:00:00.000Z; that of https expired at 1969-12-31T23:59:59.999Z',
    },
  ])
  // One that lives for a day is renewed every sixteen hours: it would never be well.
  const short = (expiresAtMs: number) => [{listener: 'https', beginsAtMs: expiresAtMs - DAY_MS, expiresAtMs}]
  expect(statusOf({certificates: () => short(DAY_MS / 5)}, 'certificates')[0]).toBe('nominal')
  expect(statusOf({certificates: () => short(DAY_MS / 7)}, 'certificates')[0]).toBe('degraded')
  expect(statusOf({certificates: () => []}, 'certificates')).toEqual(['nominal', undefined])
})

test('a cell that takes no changes is degraded, with all reasons', () => {
  const holds = () =>
    new Map([
      ['disk', 'no space'],
      ['freeze', 'frozen'],
    ])
  expect(statusOf({holds}, 'changes')).toMatchObject([
    'degraded',
    {mesg: 'read-only: no space; frozen', data: {readonly: true}},
  ])
})

test('a disk at its limit degrades the cell; one that is not watched is not mentioned', () => {
  const disk = () => ({freePercent: 5, minPercent: 5})
  expect(statusOf({disk}, 'disk')).toMatchObject(['degraded', {mesg: '5.00 percent of the disk are free, 5 must be'}])
  expect(statusOf({disk: () => undefined}, 'disk')).toEqual(['nominal', undefined])
})

test('a cell that is not registered at its AHA is degraded; one that has none says nothing of it', () => {
  const name = '00.registry.demo.net'
  expect(statusOf({membership: () => ({name, problem: 'nobody listens there'})}, 'aha')).toEqual([
    'degraded',
    {
      name: 'aha',
      status: 'degraded',
      mesg: `${name} is not registered: nobody listens there`,
      data: {name, registered: false},
    },
  ])
  expect(statusOf({membership: () => ({name, problem: undefined})}, 'aha')).toMatchObject(['nominal', {mesg: ''}])
  expect(statusOf({}, 'aha')).toEqual(['nominal', undefined])
})

test('backups are told of when there are some, or some are asked for', () => {
  const HOUR_MS = 3_600_000
  const proof = {name: 'b1', result: 'proven', atMs: 5}
  const backup = (more: object) => () => ({last: {how: 'kept', atMs: 0}, maxAgeMs: null, proof, ...more}) as const
  const nowMs = () => 25 * HOUR_MS
  const data = {last: 0, how: 'kept', age: 25 * HOUR_MS, maxage: null, proof: 'proven', proofof: 'b1', proofat: 5}
  expect(statusOf({backup: backup({}), nowMs}, 'backup')[1]).toEqual({
    name: 'backup',
    status: 'nominal',
    mesg: '',
    data,
  })
  const mesgOf = (more: object) => statusOf({backup: backup(more), nowMs}, 'backup')
  expect(mesgOf({maxAgeMs: 25 * HOUR_MS})[1]).toMatchObject({status: 'nominal'})
  expect(mesgOf({maxAgeMs: 24 * HOUR_MS})).toMatchObject([
    'degraded',
    {status: 'degraded', mesg: 'the last backup is 1d 1h old, and backup:max:age is 1d'},
  ])
  expect(mesgOf({maxAgeMs: 24 * HOUR_MS, last: undefined, proof: undefined})[1]).toMatchObject({
    mesg: 'there is no backup, and backup:max:age is 1d',
    data: {last: null, how: null, age: null, proof: null},
  })
  expect(mesgOf({proof: {...proof, result: 'failed'}})[1]).toMatchObject({mesg: 'the drill of the backup b1 failed'})
})

test('software that was replaced under the cell is told of', () => {
  const mesgOf = (installed: string | null) => statusOf({replaced: () => ({version: '1.0.0', installed})}, 'software')
  const mesg = '1.0.0 runs, and was replaced by 1.1.0: restart it, not all of it works any more'
  expect(mesgOf('1.1.0')).toEqual([
    'degraded',
    {name: 'software', status: 'degraded', mesg, data: {version: '1.0.0', installed: '1.1.0'}},
  ])
  expect(mesgOf(null)[1]).toMatchObject({mesg: '1.0.0 runs, and was removed: restart it, not all of it works any more'})
  expect(statusOf({}, 'software')).toEqual(['nominal', undefined])
})
