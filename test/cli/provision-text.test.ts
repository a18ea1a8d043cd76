import {describe, expect, test} from 'vitest'
import {holderOf, type MintReport, mintText, rightsText, settingOf} from '../../src/cli/provision-text.ts'

const NOW = Date.parse('2026-11-21T08:00:00Z')
const LOOK_UP = 'aha.service.get."demo.net"'
const ADD = 'aha.service.add."demo.net"'

function rights(user: Partial<MintReport['user']>, kind: MintReport['kind'] = 'service'): string {
  return rightsText({kind, network: 'demo.net', user: {name: 'x', admin: false, rules: [], roles: [], ...user}})
}

describe('the rights of a service are told in words', () => {
  test.each<[Partial<MintReport['user']>, string]>([
    [
      {name: 'root', admin: true},
      'root: everything on this AHA, and on every service of demo.net that knows it as root; --user own gives less',
    ],
    [{name: 'ops', admin: true}, 'ops: everything on this AHA; --user own gives less'],
    [
      {name: '00.axon', rules: [`${ADD}.axon`, `${ADD}."00.axon"`, LOOK_UP]},
      '00.axon: look up services of demo.net, register as 00.axon and axon',
    ],
    [
      {rules: [LOOK_UP, '!axon', 'aha.service.get."other.net"'], roles: ['keepers']},
      'x: look up services of demo.net, also by its rules: !axon, aha.service.get."other.net", and what the roles keepers may',
    ],
    [{}, 'x: nothing'],
  ])('%o', (user, text) => {
    expect(rights(user)).toBe(text)
  })

  test('no user is told to be another one', () => {
    expect(rights({name: 'visi', admin: true}, 'user')).toBe('visi: everything on this AHA')
  })
})

test('the role that all have is not told', () => {
  const user = {iden: 'f00d', name: 'visi', isAdmin: false, isLocked: false, isArchived: false, email: null, gates: []}
  const roles = ['all', 'keepers'].map((name) => ({iden: name, name}))
  expect(holderOf('visi', {...user, roles, rules: [[false, ['axon']]]})).toEqual({
    name: 'visi',
    admin: false,
    rules: ['!axon'],
    roles: ['keepers'],
  })
  expect(holderOf('gone', undefined)).toEqual({name: 'gone', admin: false, rules: [], roles: []})
})

test('the setting that takes the URL has the name of the service', () => {
  expect(['00.axon', 'jsonstor', '01.cortex', '00.cryotank', '00.maxmind'].map(settingOf)).toEqual([
    'SYN_AXON_AHA_PROVISION',
    'SYN_JSONSTOR_AHA_PROVISION',
    'SYN_CORTEX_AHA_PROVISION',
    'SYN_CRYOTANK_AHA_PROVISION',
    'SYN_<TYPE>_AHA_PROVISION',
  ])
})

test('a URL is told with its end and its use', () => {
  const report: MintReport = {
    ...{
      url: 'ssl://aha.demo.net:27272/f00d',
      kind: 'service',
      name: '01.cortex',
      network: 'demo.net',
      mirror: 'cortex',
    },
    user: {name: '01.cortex', admin: false, rules: [LOOK_UP], roles: []},
    expires: '2026-11-21T09:30:00.000Z',
    setting: 'SYN_CORTEX_AHA_PROVISION',
  }
  const lines = mintText(report, NOW).split('\n')
  expect(lines.slice(0, 3)).toEqual([
    'url          ssl://aha.demo.net:27272/f00d',
    'service      01.cortex.demo.net',
    'mirror of    cortex',
  ])
  expect(lines[4]).toMatch(/^expires {6}2026-11-21 .*, in 1h 30m$/)
  expect(lines[5]).toContain('SYN_CORTEX_AHA_PROVISION=URL')
  const forUser = mintText({...report, kind: 'user', name: 'visi', mirror: null, expires: null, setting: null}, NOW)
  expect(forUser).toContain('user         visi@demo.net')
  expect(forUser).toContain('expires      never')
  expect(forUser).toContain("registry enroll 'URL'")
})
