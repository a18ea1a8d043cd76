import {describe, expect, test} from 'vitest'
import {maintainedText, withMaintenance} from '../../src/registry/maintained.ts'
import {encodeMaintenance, faultOfReason, readMaintenance} from '../../src/registry/maintenance.ts'
import {readStoredService} from '../../src/registry/service.ts'
import {makeService} from '../support/service.ts'

const MAINTENANCE = {reason: 'new "lens", ü', sinceS: 1_800_000_000, by: 'unix/root'}

describe('the maintenance of a service', () => {
  test('is the same when it is read again', () => {
    expect(readMaintenance(JSON.parse(encodeMaintenance(MAINTENANCE)))).toEqual(MAINTENANCE)
  })

  test('stands in the stored service, and leaves it without a trace', () => {
    const service = makeService({metadata: {maintenance: {reason: 'mine', since: 1, by: 'me'}}, gain: 1.5})
    const maintained = withMaintenance(service, MAINTENANCE)
    expect(readStoredService(maintained.text)).toEqual(maintained)
    expect(readStoredService(withMaintenance(maintained, {...MAINTENANCE, reason: 'other'}).text)).toMatchObject({
      maintenance: {reason: 'other'},
    })
    const ended = JSON.parse(withMaintenance(maintained, undefined).text)
    expect(ended).toEqual(JSON.parse(service.text))
    expect(maintainedText(service.text, undefined)).toBe(service.text)
  })

  test('is nothing that a service can say of itself', () => {
    const service = makeService({maintenance: {reason: 'mine', since: 1, by: 'me'}})
    expect(service.text).not.toContain('mine')
  })

  test.each([
    [null],
    [[]],
    ['on'],
    [{reason: 1, since: 1, by: ''}],
    [{reason: '', since: '1', by: ''}],
    [{reason: ''}],
  ])('is not read from something else: %j', (value) => {
    expect(readMaintenance(value)).toBeUndefined()
  })

  test.each([
    ['a new lens', true],
    ['x'.repeat(256), true],
    ['x'.repeat(257), false],
    ['', false],
    ['  ', false],
    ['two\nlines', false],
    ['\u009b31m', false],
  ])('has a reason that a person can read: %j', (reason, isGood) => {
    expect(faultOfReason(reason) === undefined).toBe(isGood)
  })

  test('has a bounded name of who asked', () => {
    expect(readMaintenance(JSON.parse(encodeMaintenance({...MAINTENANCE, by: 'x'.repeat(5000)})))?.by).toHaveLength(512)
  })
})
