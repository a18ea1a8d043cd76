import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import type {Shadow} from '../../src/auth/model.ts'
import {hashOnepass, isSameHash, Passwords} from '../../src/cell/passwords.ts'

const rows = readFileSync(new URL('../vectors/auth-passwords.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
const SHADOWS: {shadow: Shadow; passwd: string}[] = rows
  .map((line) => JSON.parse(line))
  .filter((row) => 'shadow' in row && 'passwd' in row)

const cheap = () => new Passwords({iterations: 1})

describe('a password', () => {
  test('that Synapse 2.256.0 hashed is checked here', async () => {
    const passwords = new Passwords()
    expect(SHADOWS).toHaveLength(3)
    for (const {shadow, passwd} of SHADOWS) {
      expect(await passwords.check(passwd, shadow)).toBe(true)
      expect(await passwords.check(`${passwd} `, shadow)).toBe(false)
    }
  })

  test('is kept as the peer keeps it, with a salt of its own', async () => {
    const passwords = new Passwords()
    const [one, two] = await Promise.all([passwords.hash('secret'), passwords.hash('secret')])
    expect(one).toMatchObject({type: 'pbkdf2', func_params: {iterations: 310_000, hash_name: 'sha256'}})
    expect(Buffer.from(one.hashed, 'base64')).toHaveLength(32)
    expect(Buffer.from(one.func_params.salt, 'base64')).toHaveLength(32)
    expect(one.func_params.salt).not.toBe(two.func_params.salt)
    expect(JSON.stringify(Object.keys(one))).toBe(JSON.stringify(Object.keys(SHADOWS[0]?.shadow ?? {})))
    expect(await passwords.check('secret', one)).toBe(true)
    expect(await passwords.check('secret', two)).toBe(true)
    expect(await passwords.check('Secret', one)).toBe(false)
  })

  test('of nobody, or of a record that costs too much or is cut, is never right', async () => {
    const passwords = cheap()
    const shadow = await passwords.hash('secret')
    expect(await passwords.check('secret', null)).toBe(false)
    expect(await passwords.check('secret', altered(shadow, {iterations: 10_000_001}))).toBe(false)
    expect(await passwords.check('secret', altered(shadow, {iterations: 0}))).toBe(false)
    expect(await passwords.check('secret', {...shadow, hashed: shadow.hashed.slice(0, 8)})).toBe(false)
  })
})

describe('hashing', () => {
  test('takes two at a time and 64 that wait, and refuses more; then it goes on', async () => {
    const passwords = cheap()
    const shadow = await passwords.hash('secret')
    const checks = Array.from({length: 66}, (_, index) => passwords.check(`wrong ${index}`, shadow))
    await expect(passwords.check('secret', shadow)).rejects.toMatchObject({code: 'REG_BUSY', telepath: 'HitLimit'})
    expect(await Promise.all(checks)).toEqual(Array(66).fill(false))
    expect(await passwords.check('secret', shadow)).toBe(true)
  })

  test('of a password that was found right is not done again, until it is forgotten', async () => {
    const passwords = cheap()
    const [shadow, other] = [await passwords.hash('secret'), await passwords.hash('other')]
    await passwords.check('secret', shadow)
    await passwords.check('other', other)
    const occupy = () => Promise.all(Array.from({length: 66}, () => passwords.check('wrong', shadow)))
    let busy = occupy()
    expect(await passwords.check('secret', shadow)).toBe(true)
    await expect(passwords.check('wrong', shadow)).rejects.toThrow('too many')
    await busy
    passwords.forget(shadow)
    busy = occupy()
    expect(await passwords.check('other', other)).toBe(true)
    await expect(passwords.check('secret', shadow)).rejects.toThrow('too many')
    await busy
  })

  test('is remembered for 256 that were right, those last used', async () => {
    const passwords = cheap()
    const shadows = await inTurn(257, (index) => passwords.hash(`p${index}`))
    const check = (index: number) => passwords.check(`p${index}`, shadows[index] ?? null)
    await inTurn(256, check)
    await check(0)
    await check(256)
    const busy = Promise.all(Array.from({length: 66}, () => passwords.check('wrong', shadows[0] ?? null)))
    expect(await check(0)).toBe(true)
    expect(await check(256)).toBe(true)
    await expect(check(1)).rejects.toThrow('too many')
    await busy
  })

  test('of one-time passwords is plain, and compared as a whole', () => {
    expect(hashOnepass('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(isSameHash('00', '00')).toBe(true)
    expect(isSameHash('00', '01')).toBe(false)
    expect(isSameHash('00', '0')).toBe(false)
  })
})

function altered(shadow: Shadow, params: Partial<Shadow['func_params']>): Shadow {
  return {...shadow, func_params: {...shadow.func_params, ...params}}
}

async function inTurn<T>(count: number, body: (index: number) => Promise<T>): Promise<T[]> {
  const made: T[] = []
  for (let index = 0; index < count; index += 1) made.push(await body(index))
  return made
}
