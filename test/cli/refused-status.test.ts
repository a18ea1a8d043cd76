import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {isRefusal, refusedLook, refusedStatus} from '../../src/cli/refused-status.ts'
import {statusText, watchStatus} from '../../src/cli/registry-status.ts'
import type {AhaMember, AhaService} from '../../src/client/telepath/aha.ts'
import {parseUrl} from '../../src/wire/telepath/url.ts'

const {signal} = new AbortController()
const HINT = 'an administrator of it: registry user add bob@demo.net --url aha://cortex...'
const REFUSAL = new RegistryError('REG_NOT_FOUND', 'User not found: bob@demo.net', {
  telepath: 'NoSuchUser',
  hints: [HINT],
})

function member(name: string, isOnline: boolean): AhaMember {
  return {
    ...{name: `${name}.demo.net`, shortName: name, runId: undefined, isPromotable: true},
    ...{address: '127.0.0.1:4000', isOnline},
  }
}

/** An AHA that knows these services of one cell, or nothing. */
function aha(members: readonly AhaMember[] | undefined) {
  return {
    parse: parseUrl,
    find: async () => {
      if (members === undefined) throw new RegistryError('REG_NOT_FOUND', 'aha lookup failed')
      return {iden: 'f00d'} as AhaService
    },
    ofCell: async () => members ?? [],
  }
}

describe('the status of a service that does not let the caller in', () => {
  test('is what AHA knows of it, why, and whom to ask', async () => {
    const env = aha([member('00.cortex', true), member('01.cortex', false)])
    const status = await refusedStatus('aha://cortex...', REFUSAL, env, signal)
    expect(status).toMatchObject({
      ...{url: 'aha://cortex...', status: 'refused', error: {code: 'REG_NOT_FOUND', hints: [HINT]}},
      group: {
        ...{leader: null, problems: []},
        members: [
          {name: '00.cortex.demo.net', role: 'unknown', online: true, address: '127.0.0.1:4000'},
          {name: '01.cortex.demo.net', online: false},
        ],
      },
    })
    const text = statusText(status)
    expect(text).toMatch(/^status +refused: User not found: bob@demo\.net$/m)
    expect(text).toContain(HINT)
    expect(text).toMatch(/^01\.cortex\.demo\.net +offline /m)
  })

  test.each([
    ['AHA knows nothing of it', 'aha://cortex...', undefined],
    ['AHA does not list its cell', 'aha://cortex...', []],
    ['it is not asked for by AHA', 'ssl://127.0.0.1:1', [member('00.cortex', true)]],
  ])('is the refusal when %s', async (_what, url, members) => {
    await expect(refusedStatus(url, REFUSAL, aha(members), signal)).rejects.toBe(REFUSAL)
  })
})

test('only who was reached can refuse', () => {
  expect(isRefusal(REFUSAL)).toBe(true)
  expect(isRefusal(new RegistryError('REG_UNREACHABLE', 'gone'))).toBe(false)
  expect(isRefusal(new Error('gone'))).toBe(false)
})

describe('a watch', () => {
  test.each<[string, RegistryError, string]>([
    ['refused, with why, for one that does not let him in', REFUSAL, 'refused'],
    ['refused for a wrong password', new RegistryError('REG_DENIED', 'Invalid password'), 'refused'],
    ['refused while too many logins failed', new RegistryError('REG_BUSY', 'Too many failed logins'), 'refused'],
    ['away for one that is not reached', new RegistryError('REG_UNREACHABLE', 'gone'), 'away'],
  ])('shows %s', async (_, error, status) => {
    const opened = async () => ({...aha(undefined), [Symbol.asyncDispose]: async () => undefined})
    const end = new AbortController()
    const looks = watchStatus('tcp://127.0.0.1:1', {
      look: () => Promise.reject(error),
      refused: (thrown) => refusedLook('tcp://127.0.0.1:1', thrown, opened, end.signal),
      intervalMs: 10,
      signal: end.signal,
    })
    const {code, message} = error
    expect((await looks.next()).value).toMatchObject({status, url: 'tcp://127.0.0.1:1', error: {code, message}})
    end.abort(new Error('enough'))
    await expect(looks.next()).rejects.toThrow('enough')
  })

  test('shows what AHA knows of one that refuses', async () => {
    const env = aha([member('00.cortex', true)])
    const opened = async () => ({...env, [Symbol.asyncDispose]: async () => undefined})
    const look = await refusedLook('aha://cortex...', REFUSAL, opened, signal)
    expect(look).toMatchObject({status: 'refused', group: {members: [{name: '00.cortex.demo.net'}]}})
  })
})
