import {Errors} from '@oclif/core'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {exitOf, reportOf, toRegistryError} from '../../src/cli/error-report.ts'

describe('whatever is thrown', () => {
  test('stays what it is when it is ours', () => {
    const error = new RegistryError('REG_NOT_FOUND', 'no service x', {info: {id: 'x'}})
    expect(toRegistryError(error, 'service show')).toBe(error)
    expect(exitOf(error)).toBe(3)
    expect(reportOf(error)).toEqual({
      code: 'REG_NOT_FOUND',
      message: 'no service x',
      hints: ['registry service list'],
      info: {id: 'x'},
    })
  })

  test('is wrong usage when oclif says so, with the help of that command', () => {
    const error = toRegistryError(
      new Errors.CLIError('Nonexistent flag: --x\nSee more help with --help'),
      'service list',
    )
    expect(reportOf(error)).toEqual({
      code: 'REG_USAGE',
      message: 'Nonexistent flag: --x',
      hints: ['registry help service list'],
      info: {},
    })
    expect(exitOf(error)).toBe(2)
  })

  test('of wrong usage gets the help of the command, unless it has better hints', () => {
    const general = new RegistryError('REG_USAGE', 'no', {info: {a: 1}})
    expect(reportOf(toRegistryError(general, 'service list'))).toMatchObject({
      message: 'no',
      hints: ['registry help service list'],
      info: {a: 1},
    })
    const whileParsing = new RegistryError('REG_USAGE', 'Parsing --ttl \n\tno duration\nSee more help with --help')
    expect(toRegistryError(whileParsing, 'x').message).toBe('--ttl: no duration')
    const better = new RegistryError('REG_USAGE', 'no', {hints: ['give one']})
    expect(toRegistryError(better, 'service list')).toBe(better)
  })

  test.each([
    [new TypeError('x is undefined'), 'x is undefined', {name: 'TypeError'}],
    ['a string', 'a string', {}],
    [undefined, 'undefined', {}],
    [new Error(''), 'unknown error', {name: 'Error'}],
  ])('is a mistake of the program otherwise: %s', (thrown, message, info) => {
    const error = toRegistryError(thrown, 'x')
    expect(reportOf(error)).toMatchObject({code: 'REG_INTERNAL', message, info})
    expect(exitOf(error)).toBe(1)
    expect(error.cause).toBe(thrown)
  })
})
