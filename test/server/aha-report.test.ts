import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {issueInto} from '../../src/pki/issuer.ts'
import type {AhaEntry} from '../../src/registry/aha-entry.ts'
import {AhaReport, type AhaReportPorts} from '../../src/server/aha-report.ts'
import type {TicketView} from '../../src/server/ticket-desk.ts'

const START_MS = Date.UTC(2026, 0, 1)
const LIFE_MS = 30_000_000

let dir: string
let certs: CertDir
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-aha-report-'))
  certs = new CertDir(dir)
  const terms = {ttlMs: LIFE_MS, nowMs: START_MS, keyType: 'p256', replace: false} as const
  await issueInto(certs, {...terms, purpose: 'ca', name: 'demo.net', ttlMs: 10 * LIFE_MS, signAs: undefined})
  await issueInto(certs, {...terms, purpose: 'host', name: 'aha.demo.net', signAs: 'demo.net'})
})
afterAll(() => rm(dir, {recursive: true}))

function entry(name: string, leader: string, online?: string): AhaEntry {
  const info = {urlinfo: {}, leader, ...(online === undefined ? {} : {online})}
  return {name, network: 'demo.net', full: `${name}.demo.net`, info}
}

function ports(wallMs: () => number, more: Partial<AhaReportPorts> = {}): AhaReportPorts {
  return {
    services: {network: 'demo.net', list: () => []},
    fences: {list: () => []},
    pools: {list: () => []},
    tickets: {list: () => []},
    certs,
    own: [
      {purpose: 'ca', name: 'demo.net'},
      {purpose: 'host', name: 'aha.demo.net'},
      {purpose: 'user', name: 'gone@demo.net'},
    ],
    clock: {wallMs},
    ...more,
  }
}

test('a service counts once, although it has the name of the leader as well', async () => {
  const list = () => [entry('axon', 'axon', 'f00d'), entry('00.axon', 'axon', 'f00d'), entry('01.axon', 'axon')]
  const report = new AhaReport(ports(() => START_MS, {services: {network: 'demo.net', list}}))
  expect(await report.read()).toMatchObject({network: 'demo.net', services: {all: 2, online: 1}})
})

test('of one-time URLs those count that somebody can still use', async () => {
  const states = ['pending', 'used', 'claimed', 'pending', 'expired']
  const list = () => states.map((state) => ({state}) as TicketView)
  const report = new AhaReport(ports(() => START_MS, {tickets: {list}}))
  expect(await report.read()).toMatchObject({provisions: {pending: 2, claimed: 1}})
})

test('a certificate is named from two thirds of its life on, and what is not there is not', async () => {
  let nowMs = START_MS + LIFE_MS / 2
  const report = new AhaReport(ports(() => nowMs))
  expect(await report.read()).toMatchObject({ending: []})
  nowMs = START_MS + LIFE_MS * 0.7
  const ending = [{kind: 'host', name: 'aha.demo.net', ends: START_MS + LIFE_MS}]
  expect(await report.read()).toMatchObject({ending})
})

test('files are not read for each who asks', async () => {
  let reads = 0
  const counting = {
    certificate: (kind: 'ca' | 'host' | 'user' | 'code', name: string) => {
      reads += 1
      return certs.certificate(kind, name)
    },
  }
  const report = new AhaReport(ports(() => START_MS, {certs: counting}))
  await Promise.all([report.read(), report.read()])
  await report.read()
  expect(reads).toBe(3)
})
