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
