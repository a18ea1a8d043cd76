import {expect, test} from 'vitest'
import {type CertChange, decodeCertChange, encodeCertChange} from '../../src/registry/cert-change.ts'

const CHANGE: CertChange = {
  kind: 'cert:issue',
  purpose: 'user',
  name: 'visi@demo.net',
  authority: 'demo.net',
  serial: '3f',
  keySha256: '9c',
  from: '10.0.0.7',
}

test('a change is read as it was written', () => {
  expect(decodeCertChange(encodeCertChange(CHANGE))).toEqual(CHANGE)
})

test.each([
  ['a newer version', {...CHANGE, v: 2}],
  ['another kind', {...CHANGE, v: 1, kind: 'cert:revoke'}],
  ['another purpose', {...CHANGE, v: 1, purpose: 'code'}],
  ['a member that is no text', {...CHANGE, v: 1, serial: 3}],
])('%s is refused', (_what, value) => {
  expect(() => decodeCertChange(JSON.stringify(value))).toThrow(TypeError)
})
