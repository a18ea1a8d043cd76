import {describe, expect, test, vi} from 'vitest'
import type {Shadow} from '../../src/auth/model.ts'
import {Secret} from '../../src/base/secret.ts'
import {Passwords} from '../../src/cell/passwords.ts'
import {openBook, refusal} from '../support/users.ts'

const ME = 'telepath/root'

/** Counts how often a password is checked, and can hold checks up. */
class CountedPasswords extends Passwords {
  checks = 0
  #held: {readonly begun: PromiseWithResolvers<void>; readonly gate: PromiseWithResolvers<void>} | undefined

  constructor() {
    super({iterations: 1})
  }

  /** Gives the moment when the next check has begun, and the way to let it end. */
  hold(): {readonly begun: Promise<void>; readonly release: () => void} {
    const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    this.#held = {begun, gate}
    return {begun: begun.promise, release: gate.resolve}
  }

  override async check(passwd: string, shadow: Shadow | null): Promise<boolean> {
    this.checks += 1
    this.#held?.begun.resolve()
    await this.#held?.gate.promise
    return super.check(passwd, shadow)
  }
}

describe('a login', () => {
  test('needs the name and the password', async () => {
    using opened = await openBook()
    const {book} = opened
    const user = await book.addUser({name: 'visi', passwd: 'secret'}, ME)
    expect(await book.login('visi', 'secret', ME)).toEqual(user)
    for (const passwd of ['Secret', '', null, 'x'.repeat(5000), 'secret\ud800']) {
      expect(await refusal(book.login('visi', passwd, ME))).toMatchObject({
        code: 'REG_DENIED',
        telepath: 'AuthDeny',
        message: 'Invalid password',
        info: {user: user.iden, username: 'visi'},
      })
    }
    expect(await refusal(book.login('ghost', 'secret', ME))).toMatchObject({
      code: 'REG_DENIED',
      telepath: 'NoSuchUser',
      message: 'No such user: ghost.',
      info: {username: 'ghost'},
    })
    expect((await refusal(book.login('ghost', null, ME))).telepath).toBe('NoSuchUser')
  })

  test('costs the same, one check, whether the user exists, is locked, or has no password', async () => {
    const passwords = new CountedPasswords()
    using opened = await openBook({passwords})
    const {book} = opened
    await book.addUser({name: 'visi', passwd: 'secret'}, ME)
    await book.addUser({name: 'nopass'}, ME)
    const {iden} = await book.addUser({name: 'locked', passwd: 'secret'}, ME)
    await book.setUserLocked(iden, true, ME)
    for (const name of ['visi', 'nopass', 'locked', 'ghost']) {
      const before = passwords.checks
      await refusal(book.login(name, 'wrong', ME))
      expect(passwords.checks - before).toBe(1)
    }
    expect((await refusal(book.login('locked', 'secret', ME))).message).toBe('Invalid password')
    expect((await refusal(book.login('nopass', 'secret', ME))).message).toBe('Invalid password')
  })

  test('fails when the user is locked, gone or has another password before his is checked', async () => {
    const passwords = new CountedPasswords()
    using opened = await openBook({passwords})
    const {book} = opened
    const alterations: ((iden: string) => Promise<void>)[] = [
      (iden) => book.setUserLocked(iden, true, ME),
      (iden) => book.delUser(iden, ME),
      (iden) => book.setUserPasswd(iden, 'another', ME),
    ]
    for (const [index, alter] of alterations.entries()) {
      const {iden} = await book.addUser({name: `user${index}`, passwd: 'secret'}, ME)
      const {begun, release} = passwords.hold()
      const outcome = refusal(book.login(`user${index}`, 'secret', ME))
      await begun
      await alter(iden)
      release()
      expect((await outcome).message).toBe('Invalid password')
    }
  })

  test('that fails writes nothing', async () => {
    using opened = await openBook({policy: {attempts: 100}})
    const {book, store} = opened
    await book.addUser({name: 'visi', passwd: 'secret'}, ME)
    const before = await store.allEntries()
    for (let round = 0; round < 10; round += 1) {
      await refusal(book.login('visi', 'wrong', ME))
      await refusal(book.login(`ghost${round}`, 'wrong', ME))
    }
    expect(await store.allEntries()).toEqual(before)
  })

  test('works while changes are refused', async () => {
    using opened = await openBook({policy: {attempts: 3}})
    await opened.book.addUser({name: 'visi', passwd: 'secret'}, ME)
    opened.changeLog.hold('test', 'read-only')
    await refusal(opened.book.login('visi', 'wrong', ME))
    expect((await opened.book.login('visi', 'secret', ME)).name).toBe('visi')
  })
})

describe('attempts', () => {
  test('in a row lock the user with one entry, however many come at once', async () => {
    using opened = await openBook({policy: {attempts: 3}})
    const {book, store, changeLog, logged} = opened
    const {iden} = await book.addUser({name: 'visi', passwd: 'secret'}, ME)
    const before = (await store.allEntries()).length
    const wrong = Array.from({length: 10}, () => refusal(book.login('visi', 'wrong', 'https/visi')))
    const right = refusal(book.login('visi', 'secret', ME))
    for (const error of await Promise.all([...wrong, right])) expect(error.message).toBe('Invalid password')
    await changeLog.settled()
    expect(book.user(iden)?.isLocked).toBe(true)
    expect((await store.allEntries()).slice(before)).toMatchObject([{actor: 'https/visi'}])
    expect(logged.filter((line) => line.includes('user.locked-by-attempts'))).toHaveLength(1)
  })

  test('are forgotten when a login succeeds and when the user is unlocked', async () => {
    using opened = await openBook({policy: {attempts: 2}})
    const {book, changeLog} = opened
    const {iden} = await book.addUser({name: 'visi', passwd: 'secret'}, ME)
    await refusal(book.login('visi', 'wrong', ME))
    await book.login('visi', 'secret', ME)
    await refusal(book.login('visi', 'wrong', ME))
    await book.login('visi', 'secret', ME)
    await refusal(book.login('visi', 'wrong', ME))
    await refusal(book.login('visi', 'wrong', ME))
    await changeLog.settled()
    expect(book.user(iden)?.isLocked).toBe(true)
    await book.setUserLocked(iden, false, ME)
    await refusal(book.login('visi', 'wrong', ME))
    expect((await book.login('visi', 'secret', ME)).name).toBe('visi')
  })

  test('bar the user even when the lock cannot be stored, until he is unlocked', async () => {
    vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']})
    try {
      using opened = await openBook({policy: {attempts: 1}})
      const {book, store, changeLog, logged} = opened
      const {iden} = await book.addUser({name: 'visi', passwd: 'secret'}, ME)
      store.isBroken = true
      await refusal(book.login('visi', 'wrong', ME))
      await changeLog.settled()
      await new Promise(setImmediate)
      expect(logged.some((line) => line.includes('user.lock-not-stored'))).toBe(true)
      expect((await refusal(book.login('visi', 'secret', ME))).message).toBe('Invalid password')
      expect(book.user(iden)?.isLocked).toBe(false)
      store.isBroken = false
      await vi.advanceTimersByTimeAsync(500)
      await book.setUserLocked(iden, false, ME)
      expect((await book.login('visi', 'secret', ME)).name).toBe('visi')
    } finally {
      vi.useRealTimers()
    }
  })

  test('never lock root: they are logged as an error', async () => {
    using opened = await openBook({policy: {attempts: 2}, rootPasswd: new Secret('rootpass')})
    const {book, logged} = opened
    for (let round = 0; round < 3; round += 1) await refusal(book.login('root', 'wrong', ME))
    expect((await book.login('root', 'rootpass', ME)).isAdmin).toBe(true)
    expect(logged.filter((line) => line.includes('user.attempts-exceeded') && line.includes('"ERROR"'))).toHaveLength(2)
  })
})

describe('a password', () => {
  test('can be set and taken away, and must be one', async () => {
    using opened = await openBook()
    const {book} = opened
    const {iden} = await book.addUser({name: 'visi', passwd: 'one'}, ME)
    await book.setUserPasswd(iden, 'two', ME)
    expect((await refusal(book.login('visi', 'one', ME))).message).toBe('Invalid password')
    await book.login('visi', 'two', ME)
    await book.setUserPasswd(iden, null, ME)
    await refusal(book.login('visi', 'two', ME))
    for (const [passwd, text] of [
      ['', 'Password must be a string'],
      ['x'.repeat(1025), 'Password must not be longer than 1024 characters'],
      ['a\udc00', 'Password must be valid Unicode'],
    ] as const) {
      expect(await refusal(book.setUserPasswd(iden, passwd, ME))).toMatchObject({telepath: 'BadArg', message: text})
      expect(await refusal(book.addUser({name: 'x', passwd}, ME))).toMatchObject({telepath: 'BadArg', message: text})
    }
    expect(book.userByName('x')).toBeUndefined()
  })

  test('must follow the policy, also when the user is added, and not be one of the last', async () => {
    using opened = await openBook({policy: {complexity: {length: 3}, previous: 2}})
    const {book} = opened
    const refused = await refusal(book.addUser({name: 'visi', passwd: 'x'}, ME))
    expect(refused.info['failures']).toEqual(['Password must be at least 3 characters.'])
    expect(book.userByName('visi')).toBeUndefined()
    const {iden} = await book.addUser({name: 'visi'}, ME)
    await book.setUserPasswd(iden, 'first', ME)
    await book.setUserPasswd(iden, 'second', ME)
    const reused = await refusal(book.setUserPasswd(iden, 'first', ME))
    expect(reused).toMatchObject({
      telepath: 'BadArg',
      info: {failures: ['Password cannot be the same as previous 2 password(s).']},
    })
    await book.setUserPasswd(iden, 'third', ME)
    await book.setUserPasswd(iden, 'first', ME)
    await book.setUserPasswd(iden, null, ME)
    using again = await opened.again({policy: {previous: 2}})
    expect((await refusal(again.book.setUserPasswd(iden, 'third', ME))).info['failures']).toHaveLength(1)
  })

  test('of root is what the configuration says at each start, without policy, and written only when it is another', async () => {
    const policy = {complexity: {length: 20}}
    using opened = await openBook({policy, rootPasswd: new Secret('rootpass')})
    expect(await opened.store.allEntries()).toHaveLength(2)
    using same = await opened.again({policy, rootPasswd: new Secret('rootpass')})
    expect(await opened.store.allEntries()).toHaveLength(2)
    using other = await same.again({policy, rootPasswd: new Secret('newpass')})
    await refusal(other.book.login('root', 'rootpass', ME))
    expect((await other.book.login('root', 'newpass', ME)).name).toBe('root')
  })
})

describe('a one-time password', () => {
  test('works once, even when it is used twice at the same time', async () => {
    using opened = await openBook()
    const {book} = opened
    const {iden} = await book.addUser({name: 'visi', passwd: 'secret'}, ME)
    const passwd = await book.genUserOnepass(iden, 1000, ME)
    expect(passwd).toMatch(/^[0-9a-f]{32}$/)
    const outcomes = await Promise.allSettled([book.login('visi', passwd, ME), book.login('visi', passwd, ME)])
    expect(outcomes.map((one) => one.status)).toEqual(['fulfilled', 'rejected'])
    await refusal(book.login('visi', passwd, ME))
    await book.login('visi', 'secret', ME)
    using again = await opened.again()
    await refusal(again.book.login('visi', passwd, ME))
  })

  test('works for who has no other, until it runs out, and never for who is locked', async () => {
    using opened = await openBook()
    const {book, clock} = opened
    const {iden} = await book.addUser({name: 'visi'}, ME)
    const first = await book.genUserOnepass(iden, 1000, ME)
    clock.nowMs += 1001
    await refusal(book.login('visi', first, ME))
    const second = await book.genUserOnepass(iden, 1000, ME)
    clock.nowMs += 1000
    await book.setUserLocked(iden, true, ME)
    await refusal(book.login('visi', second, ME))
    await book.setUserLocked(iden, false, ME)
    expect((await book.login('visi', second, ME)).iden).toBe(iden)
  })

  test('does not let in when its use cannot be stored', async () => {
    using opened = await openBook()
    const {book, store, changeLog} = opened
    const {iden} = await book.addUser({name: 'visi'}, ME)
    const passwd = await book.genUserOnepass(iden, 1000, ME)
    changeLog.hold('test', 'read-only')
    expect((await refusal(book.login('visi', passwd, ME))).code).toBe('REG_READ_ONLY')
    changeLog.release('test')
    const release = store.hold()
    let isIn = false
    const login = book.login('visi', passwd, ME).then(() => {
      isIn = true
    })
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    expect(isIn).toBe(false)
    release()
    await login
  })

  test('needs a time in which it is valid, and a user', async () => {
    using opened = await openBook()
    const {book} = opened
    for (const durationMs of [0, -1, 1.5, Number.NaN]) {
      expect((await refusal(book.genUserOnepass(book.rootIden, durationMs, ME))).telepath).toBe('BadArg')
    }
    expect((await refusal(book.genUserOnepass('d'.repeat(32), 1, ME))).telepath).toBe('NoSuchUser')
  })
})
