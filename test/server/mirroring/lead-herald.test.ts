import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../../src/base/errors.ts'
import type {Lead} from '../../../src/registry/lead.ts'
import {LeadHerald, type LeadHeraldPorts} from '../../../src/server/mirroring/lead-herald.ts'
import type {OnMirror} from '../../../src/server/mirroring/mirrors.ts'
import {RoleKeeper} from '../../../src/server/mirroring/role.ts'

const SELF: Lead = {member: 'a'.repeat(32), name: '00.demo.net', urls: [], epoch: 1, how: 'founded', from: null}
const OTHER = {member: 'b'.repeat(32), name: '01.demo.net', urls: []}

/** A leader with one mirror, which nobody reaches. */
function leader() {
  const roles = new RoleKeeper({setSource: () => undefined}, {kind: 'leads'})
  let tell: OnMirror = () => undefined
  const mirrors = {
    size: 1,
    attached: new Map(),
    onChange: (listener: OnMirror) => {
      tell = listener
      return () => undefined
    },
  }
  const members = new Map([SELF, OTHER].map((one) => [one.member, one]))
  const ports: LeadHeraldPorts = {
    ...{roles, mirrors, cellIden: 'c'.repeat(32), self: () => SELF},
    changes: {head: {nextOffset: 1, epoch: 1, lastHash: ''}},
    ledger: {
      ...{member: SELF.member, visible: {lead: SELF, members}, others: [OTHER], isLeading: true},
      onChanged: () => () => undefined,
      change: () => Promise.reject(new RegistryError('REG_NOT_LEADER', 'nothing is written here')),
    },
    guard: {hear: () => Promise.resolve()},
    open: () => Promise.reject(new RegistryError('REG_UNREACHABLE', 'nobody is there')),
    log: {info: () => undefined, warning: () => undefined, critical: () => undefined, debug: () => undefined},
  }
  const herald = new LeadHerald(ports, {confirmMs: 60_000, isAlone: false})
  const lose = () => {
    mirrors.size = 0
    const facts = {
      nextOffset: 1,
      lastSeenMs: 0,
      isFrozen: false,
      attachedAtMs: 0,
      run: 'd'.repeat(32),
      version: '1.2.3',
    }
    tell('lost', {...OTHER, ...facts, sessionId: 'e'.repeat(32), address: '127.0.0.1'})
  }
  return {roles, lose, herald}
}

describe('a leader that loses its last mirror', () => {
  test('asks the others before it takes another change', () => {
    const {roles, lose, herald} = leader()
    lose()
    expect(roles.role.kind).toBe('confirms')
    herald.stop()
  })

  test('while it gives the lead away, asks them when it keeps it', () => {
    const {roles, lose, herald} = leader()
    roles.set({kind: 'closing', to: OTHER.name})
    lose()
    expect(roles.role.kind).toBe('closing')
    roles.set({kind: 'leads'})
    expect(roles.role.kind).toBe('confirms')
    herald.stop()
  })

  test('is not asked anything by a hand-over that comes to nothing', () => {
    const {roles, herald} = leader()
    roles.set({kind: 'closing', to: OTHER.name})
    roles.set({kind: 'leads'})
    expect(roles.role.kind).toBe('leads')
    herald.stop()
  })
})
