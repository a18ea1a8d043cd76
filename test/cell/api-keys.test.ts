import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {GatedStore, openBook, refusal} from '../support/users.ts'

const ME = 'telepath/root'
const vector = readFileSync(new URL('../vectors/auth-passwords.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line))
  .find((row) => 'apikey' in row)

describe('an API key', () => {
  test('is 44 characters that name the key and prove it, and is shown once', async () => {
    using opened = await openBook()
    const {book, clock} = opened
    const user = await book.addUser({name: 'visi'}, ME)
    const {text, key} = await book.addApiKey(user.iden, 'ci', 1000, ME)
    expect(text).toMatch(/^[A-Za-z0-9_-]{43}=$/)
    expect(Buffer.from(text, 'base64url').toString('hex', 0, 16)).toBe(key.iden)
    const {nowMs} = clock
    expect(key).toEqual({
      iden: key.iden,
      name: 'ci',
      user: user.iden,
      createdMs: nowMs,
      updatedMs: nowMs,
      expiresMs: nowMs + 1000,
    })
    expect(await book.checkApiKey(text)).toEqual({key, user})
    expect([book.apiKey(key.iden), book.apiKeysOf(user.iden)]).toEqual([key, [key]])
  })

  test('that Synapse 2.256.0 made works when it is carried over', async () => {
    const store = new GatedStore()
    await store.open()
    using before = await openBook({}, store)
    const key = {iden: vector.iden, name: 'old', user: before.book.rootIden, createdMs: 1, updatedMs: 1}
    const record = {table: 'auth:apikey', key: vector.iden, value: JSON.stringify({key, shadow: vector.shadow})}
    await store.append([{timeMs: 1, actor: 'test', change: '{}', effect: {kind: 'records', records: [record]}}])
    using opened = await before.again()
    expect((await opened.book.checkApiKey(vector.apikey)).user.name).toBe('root')
    const wrong = `${vector.apikey.slice(0, 42)}${vector.apikey[42] === 'A' ? 'E' : 'A'}=`
    expect((await refusal(opened.book.checkApiKey(wrong))).message).toBe(`API key shadow mismatch: ${vector.iden}`)
  })

  test.each([
    ['', 'x'],
    ['too short', 'A'.repeat(43)],
    ['without padding', 'A'.repeat(44)],
    ['of standard base64', `${'+'.repeat(43)}=`],
    ['endless', 'A'.repeat(100_000)],
    ['on two lines', `${'A'.repeat(43)}=\n`],
  ])('that is malformed is refused: %s', async (_what, text) => {
    using opened = await openBook()
    expect(await refusal(opened.book.checkApiKey(text))).toMatchObject({
      code: 'REG_DENIED',
      message: 'API key is malformed.',
    })
  })

  test('is refused with the reason when it is unknown, expired, or its user is locked or gone', async () => {
    using opened = await openBook()
    const {book, clock} = opened
    const {iden} = await book.addUser({name: 'visi'}, ME)
    const {text, key} = await book.addApiKey(iden, 'ci', 1000, ME)
    const unknown = await refusal(book.checkApiKey(`${'A'.repeat(43)}=`))
    expect(unknown).toMatchObject({message: `API key does not exist: ${'0'.repeat(32)}`, info: {}})
    const facts = {code: 'REG_DENIED', info: {user: iden, name: 'visi'}}
    clock.nowMs += 1001
    const expired = await refusal(book.checkApiKey(text))
    expect(expired).toMatchObject({...facts, message: `API key is expired: ${key.iden}`})
    clock.nowMs -= 1
    await book.checkApiKey(text)
    await book.setUserLocked(iden, true, ME)
    const locked = await refusal(book.checkApiKey(text))
    expect(locked).toMatchObject({...facts, message: `User associated with API key is locked: ${key.iden}`})
    await book.setUserLocked(iden, false, ME)
    await book.delUser(iden, ME)
    expect((await refusal(book.checkApiKey(text))).message).toBe(`API key does not exist: ${key.iden}`)
  })

  test('can be renamed and deleted', async () => {
    using opened = await openBook()
    const {book, clock} = opened
    const {text, key} = await book.addApiKey(book.rootIden, 'ci', undefined, ME)
    await book.addApiKey(book.rootIden, 'cd', undefined, ME)
    clock.nowMs += 5
    const renamed = await book.setApiKeyName(key.iden, 'cd', ME)
    expect(renamed).toEqual({...key, name: 'cd', updatedMs: key.updatedMs + 5})
    expect((await book.checkApiKey(text)).key).toEqual(renamed)
    await book.delApiKey(key.iden, ME)
    expect((await refusal(book.checkApiKey(text))).message).toContain('does not exist')
    expect(book.apiKeysOf(book.rootIden)).toHaveLength(1)
    for (const call of [book.delApiKey(key.iden, ME), book.setApiKeyName(key.iden, 'x', ME)]) {
      expect(await refusal(call)).toMatchObject({telepath: 'NoSuchIden', info: {iden: key.iden}})
    }
  })

  test('needs a user, a name and a time that is one', async () => {
    using opened = await openBook()
    const {book} = opened
    expect((await refusal(book.addApiKey('d'.repeat(32), 'ci', undefined, ME))).telepath).toBe('NoSuchUser')
    expect((await refusal(book.addApiKey(book.rootIden, '', undefined, ME))).telepath).toBe('BadArg')
    for (const durationMs of [0, -1, 1.5]) {
      const error = await refusal(book.addApiKey(book.rootIden, 'ci', durationMs, ME))
      expect(error.message).toBe('Duration must be equal or greater than 1')
    }
    expect(book.apiKeysOf(book.rootIden)).toEqual([])
  })
})
