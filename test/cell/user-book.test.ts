import {describe, expect, test, vi} from 'vitest'
import type {UserBook} from '../../src/cell/user-book.ts'
import {type GatedStore, openBook, refusal} from '../support/users.ts'

const ME = 'telepath/root'

describe('a new cell', () => {
  test('has root, without password and roles, and the role all, with idens made of its own', async () => {
    using opened = await openBook()
    using other = await openBook({cellIden: 'f'.repeat(32)})
    const {book} = opened
    expect(book.users()).toMatchObject([{iden: book.rootIden, name: 'root', roles: [], isAdmin: true, isLocked: false}])
    expect(book.roles()).toMatchObject([{name: 'all', rules: []}])
    expect(other.book.rootIden).not.toBe(book.rootIden)
    expect((await refusal(book.login('root', '', ME))).message).toBe('Invalid password')
  })

  test('is made in one entry, and a second start writes nothing', async () => {
    using opened = await openBook()
    using _again = await opened.again()
    expect(await opened.store.allEntries()).toMatchObject([{actor: 'cell', offset: 0}])
  })
})

describe('a start', () => {
  test('gives root back what he cannot be without', async () => {
    using opened = await openBook()
    const {book, store} = opened
    const root = {...book.user(book.rootIden), isAdmin: false, isLocked: true, isArchived: true}
    await putRecord(store, 'auth:user', book.rootIden, root)
    using again = await opened.again()
    expect(again.book.user(book.rootIden)).toMatchObject({isAdmin: true, isLocked: false, isArchived: false})
  })

  test('makes root and the role all when only they are missing', async () => {
    using opened = await openBook()
    const {book, store} = opened
    const visi = await book.addUser({name: 'visi'}, ME)
    await putRecord(store, 'auth:user', book.rootIden, undefined)
    await putRecord(store, 'auth:role', book.roleByName('all')?.iden ?? '', undefined)
    using again = await opened.again()
    expect(again.book.users().map((user) => user.name)).toEqual(['root', 'visi'])
    expect(again.book.user(visi.iden)).toEqual(visi)
    expect(again.book.roleByName('all')).toEqual(book.roleByName('all'))
  })

  test('finds everything as it was', async () => {
    using opened = await openBook()
    const {book} = opened
    await populate(book)
    using again = await opened.again()
    for (const ask of [
      (one: UserBook) => one.users(),
      (one: UserBook) => one.roles(),
      (one: UserBook) => one.gates(),
      (one: UserBook) => one.users().map((user) => one.apiKeysOf(user.iden)),
    ]) {
      expect(ask(again.book)).toEqual(ask(book))
    }
    expect((await again.book.login('visi', 'secret', ME)).name).toBe('visi')
  })

  test('refuses a record that is damaged', async () => {
    using opened = await openBook()
    await putRecord(opened.store, 'auth:user', 'x', {iden: 'x'})
    expect(await refusal(opened.again())).toMatchObject({code: 'REG_STORE_DAMAGED', info: {table: 'auth:user'}})
  })
})

describe('a change', () => {
  test('is seen when it is durable, not before', async () => {
    using opened = await openBook()
    const {book, store} = opened
    const release = store.hold()
    const adding = book.addUser({name: 'visi'}, ME)
    await new Promise(setImmediate)
    expect(book.userByName('visi')).toBeUndefined()
    release()
    expect(await adding).toBe(book.userByName('visi'))
    expect((await store.allEntries()).at(-1)).toMatchObject({actor: ME, offset: 1})
  })

  test('is decided on top of those that are under way, and they share a commit', async () => {
    using opened = await openBook()
    const {book, store} = opened
    const append = vi.spyOn(store, 'append')
    const [first, second, third] = await Promise.allSettled([
      book.addUser({name: 'visi', email: 'V@x'}, ME),
      book.addUser({name: 'visi'}, ME),
      book.addUser({name: 'other', email: 'v@X '}, ME),
      book.addRole('readers', undefined, ME),
    ])
    expect(first?.status).toBe('fulfilled')
    expect(second).toMatchObject({reason: {telepath: 'DupUserName', info: {name: 'visi'}}})
    expect(third).toMatchObject({reason: {telepath: 'DupUserEmail', info: {email: 'v@x'}}})
    expect(append.mock.calls.map(([entries]) => entries.length)).toEqual([2])
  })

  test('whose commit fails did not happen, nor what was decided on top of it', async () => {
    vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']})
    try {
      using opened = await openBook()
      const {book, store} = opened
      const {iden} = await book.addUser({name: 'before'}, ME)
      store.isBroken = true
      const outcomes = await Promise.allSettled([
        book.addUser({name: 'visi', iden: 'a'.repeat(32)}, ME),
        book.setUserLocked('a'.repeat(32), true, ME),
        book.delUser(iden, ME),
      ])
      expect(outcomes).toMatchObject(Array(3).fill({status: 'rejected', reason: {code: 'REG_STORE_FAILED'}}))
      expect((await refusal(book.addRole('x', undefined, ME))).code).toBe('REG_READ_ONLY')
      expect(book.users().map((user) => user.name)).toEqual(['before', 'root'])
      store.isBroken = false
      await vi.advanceTimersByTimeAsync(500)
      expect((await book.addUser({name: 'visi', iden: 'a'.repeat(32)}, ME)).isLocked).toBe(false)
      await book.setUserEmail(iden, 'b@x', ME)
      expect(book.user(iden)?.email).toBe('b@x')
    } finally {
      vi.useRealTimers()
    }
  })

  test('is refused while the log is held', async () => {
    using opened = await openBook()
    opened.changeLog.hold('test', 'the service is frozen')
    expect(await refusal(opened.book.addUser({name: 'visi'}, ME))).toMatchObject({
      code: 'REG_READ_ONLY',
      message: 'the service is frozen',
    })
    opened.changeLog.release('test')
    await opened.book.addUser({name: 'visi'}, ME)
  })
})

describe('a user', () => {
  test('that is added has the role all, and the address in lower case', async () => {
    using opened = await openBook()
    const {book} = opened
    const user = await book.addUser({name: 'visi', email: ' Visi@Vertex.LINK '}, ME)
    expect(user).toMatchObject({roles: [book.roleByName('all')?.iden], email: 'visi@vertex.link', isAdmin: false})
    await book.setUserEmail(user.iden, ' ', ME)
    expect(book.user(user.iden)?.email).toBeNull()
    await book.setUserEmail(user.iden, null, ME)
  })

  test('can have his own name and address again', async () => {
    using opened = await openBook()
    const {iden} = await opened.book.addUser({name: 'visi', email: 'a@b'}, ME)
    await opened.book.setUserName(iden, 'visi', ME)
    await opened.book.setUserEmail(iden, 'A@B', ME)
    await opened.book.setUserName(iden, 'vertex', ME)
    expect(opened.book.userByName('visi')).toBeUndefined()
    await opened.book.addUser({name: 'visi'}, ME)
  })

  test('that is archived is locked, cannot be unlocked, and stays locked when taken back', async () => {
    using opened = await openBook()
    const {book} = opened
    const {iden} = await book.addUser({name: 'visi'}, ME)
    await book.setUserArchived(iden, true, ME)
    expect(book.user(iden)).toMatchObject({isArchived: true, isLocked: true})
    expect(await refusal(book.setUserLocked(iden, false, ME))).toMatchObject({
      telepath: 'BadArg',
      message: 'Cannot unlock archived user.',
      info: {user: iden, username: 'visi'},
    })
    await book.setUserArchived(iden, false, ME)
    expect(book.user(iden)).toMatchObject({isArchived: false, isLocked: true})
    await book.setUserLocked(iden, false, ME)
  })

  test('counts towards max:users unless he is root or locked, those that are under way too', async () => {
    using opened = await openBook({maxUsers: 2})
    const {book} = opened
    const full = {code: 'REG_CONFLICT', telepath: 'HitLimit', message: 'Cell at maximum number of users (2).'}
    const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((name) => book.addUser({name}, ME)))
    expect(outcomes[2]).toMatchObject({status: 'rejected', reason: full})
    const iden = book.userByName('a')?.iden ?? ''
    await book.setUserLocked(iden, true, ME)
    await book.addUser({name: 'c'}, ME)
    expect(await refusal(book.setUserLocked(iden, false, ME))).toMatchObject(full)
    await book.setUserLocked(book.rootIden, false, ME)
  })

  test('has his rules in the order in which they are asked', async () => {
    using opened = await openBook()
    const {book} = opened
    const {iden} = await book.addUser({name: 'visi'}, ME)
    await book.addUserRule(iden, [true, ['b']], undefined, undefined, ME)
    await book.addUserRule(iden, [false, ['a']], 0, undefined, ME)
    await book.addUserRule(iden, [true, ['d']], 99, undefined, ME)
    await book.addUserRule(iden, [true, ['c']], -1, undefined, ME)
    expect(book.user(iden)?.rules.map(([, path]) => path[0])).toEqual(['a', 'b', 'c', 'd'])
    expect(await book.delUserRule(iden, [true, ['a']], undefined, ME)).toBe(false)
    expect(await book.delUserRule(iden, [false, ['a']], undefined, ME)).toBe(true)
    expect(book.user(iden)?.rules.map(([, path]) => path[0])).toEqual(['b', 'c', 'd'])
    await book.setUserRules(iden, [], undefined, ME)
    expect(book.user(iden)?.rules).toEqual([])
  })

  test('has his roles in the order in which they are asked, the role all always among them', async () => {
    using opened = await openBook()
    const {book} = opened
    const all = book.roleByName('all')?.iden ?? ''
    const {iden} = await book.addUser({name: 'visi'}, ME)
    const [one, two] = [await book.addRole('one', undefined, ME), await book.addRole('two', undefined, ME)]
    await book.addUserRole(iden, one.iden, undefined, ME)
    await book.addUserRole(iden, two.iden, 0, ME)
    await book.addUserRole(iden, one.iden, 0, ME)
    expect(book.user(iden)?.roles).toEqual([two.iden, all, one.iden])
    await book.setUserRoles(iden, [one.iden, all, one.iden], ME)
    expect(book.user(iden)?.roles).toEqual([one.iden, all])
    expect((await refusal(book.setUserRoles(iden, [one.iden], ME))).message).toBe(
      'Role "all" must be in the list of roles set.',
    )
    expect((await refusal(book.delUserRole(iden, all, ME))).message).toBe('Role "all" may not be revoked.')
    await book.delUserRole(iden, one.iden, ME)
    await book.delUserRole(iden, one.iden, ME)
    expect(book.user(iden)?.roles).toEqual([all])
    await book.setUserRoles(book.rootIden, [], ME)
  })
})

describe('a role', () => {
  test('that is deleted is taken from all users in one entry', async () => {
    using opened = await openBook()
    const {book, store} = opened
    const role = await book.addRole('readers', 'b'.repeat(32), ME)
    for (const name of ['a', 'b']) {
      const {iden} = await book.addUser({name}, ME)
      await book.addUserRole(iden, role.iden, undefined, ME)
    }
    const before = (await store.allEntries()).length
    await book.delRole(role.iden, ME)
    expect(await store.allEntries()).toHaveLength(before + 1)
    expect(book.users().flatMap((user) => user.roles)).not.toContain(role.iden)
    expect(book.role(role.iden)).toBeUndefined()
  })

  test('has a name of its own and rules in order', async () => {
    using opened = await openBook()
    const {book} = opened
    const {iden} = await book.addRole("o'readers", undefined, ME)
    const twice = await refusal(book.addRole("o'readers", undefined, ME))
    expect(twice).toMatchObject({
      telepath: 'DupRoleName',
      message: 'Duplicate role name, name="o\'readers" already exists.',
    })
    await book.setRoleName(iden, 'writers', ME)
    await book.addRoleRule(iden, [true, ['a']], undefined, undefined, ME)
    await book.addRoleRule(iden, [false, ['b']], 0, undefined, ME)
    expect(book.roleByName('writers')?.rules).toEqual([
      [false, ['b']],
      [true, ['a']],
    ])
    expect(await book.delRoleRule(iden, [false, ['b']], undefined, ME)).toBe(true)
    expect(await book.delRoleRule(iden, [false, ['b']], undefined, ME)).toBe(false)
  })
})

describe('a gate', () => {
  test('holds rules and admins of users and roles, whose entries vanish when they are empty', async () => {
    using opened = await openBook()
    const {book} = opened
    await book.addGate('view0', 'view', ME)
    const {iden} = await book.addUser({name: 'visi'}, ME)
    const role = await book.addRole('readers', undefined, ME)
    await book.addUserRule(iden, [true, ['a']], undefined, 'view0', ME)
    await book.addUserRule(iden, [true, ['b']], 0, 'view0', ME)
    await book.setUserAdmin(iden, true, 'view0', ME)
    await book.addRoleRule(role.iden, [true, ['c']], undefined, 'view0', ME)
    expect(book.gate('view0')).toEqual({
      iden: 'view0',
      type: 'view',
      users: new Map([
        [
          iden,
          {
            rules: [
              [true, ['b']],
              [true, ['a']],
            ],
            isAdmin: true,
          },
        ],
      ]),
      roles: new Map([[role.iden, {rules: [[true, ['c']]], isAdmin: false}]]),
    })
    expect(book.user(iden)).toMatchObject({isAdmin: false, rules: []})
    await book.setUserRules(iden, [], 'view0', ME)
    await book.setUserAdmin(iden, false, 'view0', ME)
    expect(await book.delRoleRule(role.iden, [true, ['c']], 'view0', ME)).toBe(true)
    expect(book.gates()).toEqual([{iden: 'view0', type: 'view', users: new Map(), roles: new Map()}])
  })
})

describe('what cannot be done', () => {
  const NOBODY = 'd'.repeat(32)
  const VISI = 'a'.repeat(32)
  const OTHER = 'b'.repeat(32)
  const READERS = 'c'.repeat(32)
  const cases: [string, (book: UserBook, root: string, all: string) => Promise<unknown>, string, string][] = [
    ['delete root', (book, root) => book.delUser(root, ME), 'BadArg', 'User "root" may not be deleted.'],
    [
      'rename root',
      (book, root) => book.setUserName(root, 'toor', ME),
      'BadArg',
      'Cannot change the name of the root user.',
    ],
    ['lock root', (book, root) => book.setUserLocked(root, true, ME), 'BadArg', 'Cannot lock admin root user.'],
    ['archive root', (book, root) => book.setUserArchived(root, true, ME), 'BadArg', 'Cannot archive root user.'],
    [
      'take admin from root',
      (book, root) => book.setUserAdmin(root, false, undefined, ME),
      'BadArg',
      'Cannot remove admin from root user.',
    ],
    ['delete all', (book, _root, all) => book.delRole(all, ME), 'BadArg', 'Role "all" may not be deleted.'],
    ['rename all', (book, _root, all) => book.setRoleName(all, 'any', ME), 'BadArg', 'Role "all" may not be renamed.'],
    [
      'add a name twice',
      (book) => book.addUser({name: 'visi'}, ME),
      'DupUserName',
      "Duplicate username, name='visi' already exists.",
    ],
    [
      'take the name of another',
      (book) => book.setUserName(OTHER, 'visi', ME),
      'DupUserName',
      "Duplicate username, name='visi' already exists.",
    ],
    [
      'take the address of another',
      (book) => book.setUserEmail(OTHER, 'VISI@x', ME),
      'DupUserEmail',
      "Duplicate email, email='visi@x' already exists.",
    ],
    [
      'take the name of another role',
      (book, _root) => book.setRoleName(READERS, 'all', ME),
      'DupRoleName',
      "Duplicate role name, name='all' already exists.",
    ],
    [
      'add an iden twice',
      (book) => book.addUser({name: 'x', iden: VISI}, ME),
      'DupIden',
      'User already exists for the iden.',
    ],
    [
      'add the iden of a role twice',
      (book) => book.addRole('x', READERS, ME),
      'DupIden',
      `Role already exists for iden='${READERS}'.`,
    ],
    [
      'add a gate twice',
      (book) => book.addGate('view0', 'view', ME),
      'DupIden',
      'An auth gate already exists with iden: (view0).',
    ],
    [
      'choose an iden that is none',
      (book) => book.addUser({name: 'x', iden: 'A'.repeat(32)}, ME),
      'BadArg',
      'an iden must be 32 lower-case hex digits',
    ],
    [
      'use an address that is none',
      (book) => book.addUser({name: 'x', email: 'visi'}, ME),
      'BadArg',
      'Email address expected in <user>@<fqdn> format, got "visi"',
    ],
    ['have no name', (book) => book.addUser({name: ''}, ME), 'BadArg', 'the name of a user must not be empty'],
    [
      'have an endless name',
      (book) => book.addUser({name: 'x'.repeat(257)}, ME),
      'BadArg',
      'the name of a user must not be longer than 256 characters',
    ],
    [
      'move the cursor',
      (book) => book.setUserName(VISI, 'a\u001b[2J', ME),
      'BadArg',
      'the name of a user must not hold control characters',
    ],
    [
      'have an endless address',
      (book) => book.setUserEmail(VISI, `${'x'.repeat(254)}@x`, ME),
      'BadArg',
      'an email address must not be longer than 254 characters',
    ],
    [
      'change a user that is not there',
      (book) => book.setUserEmail(NOBODY, null, ME),
      'NoSuchUser',
      `No user with iden ${NOBODY}.`,
    ],
    [
      'set the password of nobody',
      (book) => book.setUserPasswd(NOBODY, 'secret', ME),
      'NoSuchUser',
      `No user with iden ${NOBODY}.`,
    ],
    [
      'grant a role that is not there',
      (book) => book.addUserRole(VISI, NOBODY, undefined, ME),
      'NoSuchRole',
      `No role with iden ${NOBODY}.`,
    ],
    [
      'set roles that are not there',
      (book) => book.setUserRoles(VISI, [NOBODY], ME),
      'NoSuchRole',
      `No role with iden ${NOBODY}.`,
    ],
    [
      'change a role that is not there',
      (book) => book.setRoleRules(NOBODY, [], undefined, ME),
      'NoSuchRole',
      `No role with iden ${NOBODY}.`,
    ],
    [
      'use a gate that is not there',
      (book) => book.setUserAdmin(VISI, true, 'nogate', ME),
      'NoSuchAuthGate',
      'No auth gate found with iden: (nogate).',
    ],
    [
      'set a rule of nothing',
      (book) => book.setUserRules(VISI, [[true, []]], undefined, ME),
      'SchemaViolation',
      'rule 0 must have a path of at least one element',
    ],
    [
      'add a rule of nothing',
      (book) => book.addRoleRule(READERS, [true, ['']], undefined, undefined, ME),
      'SchemaViolation',
      'the rule must have elements that are not empty',
    ],
  ]

  test.each(cases)('%s', async (_what, call, name, text) => {
    using opened = await openBook()
    const {book, store} = opened
    await book.addUser({name: 'visi', iden: VISI, email: 'visi@x'}, ME)
    await book.addUser({name: 'other', iden: OTHER}, ME)
    await book.addRole('readers', READERS, ME)
    await book.addGate('view0', 'view', ME)
    const before = await store.allEntries()
    const error = await refusal(call(book, book.rootIden, book.roleByName('all')?.iden ?? ''))
    expect([error.telepath, error.message]).toEqual([name, text])
    expect(await store.allEntries()).toEqual(before)
  })
})

describe('who must not go on', () => {
  test('is named once for each lock, archiving, deletion and new password, when it is durable', async () => {
    using opened = await openBook()
    const {book, store} = opened
    const {iden} = await book.addUser({name: 'visi', passwd: 'secret'}, ME)
    const barred: string[] = []
    const stop = book.onBarred((user) => barred.push(user))
    await book.setUserEmail(iden, 'a@b', ME)
    await book.setUserLocked(iden, false, ME)
    await book.genUserOnepass(iden, 1000, ME)
    expect(barred).toEqual([])
    const release = store.hold()
    const locking = book.setUserLocked(iden, true, ME)
    await new Promise(setImmediate)
    expect(barred).toEqual([])
    release()
    await locking
    await book.setUserArchived(iden, true, ME)
    await book.setUserPasswd(iden, null, ME)
    await book.delUser(iden, ME)
    expect(barred).toEqual([iden, iden, iden, iden])
    stop()
    await book.setUserPasswd(book.rootIden, 'x', ME)
    expect(barred).toHaveLength(4)
  })
})

async function populate(book: UserBook): Promise<void> {
  const visi = await book.addUser({name: 'visi', passwd: 'secret', email: 'visi@x'}, ME)
  const role = await book.addRole('readers', undefined, ME)
  await book.addGate('view0', 'view', ME)
  await book.addUserRole(visi.iden, role.iden, 0, ME)
  await book.addUserRule(visi.iden, [false, ['axon', 'del']], undefined, 'view0', ME)
  await book.addRoleRule(role.iden, [true, ['axon']], undefined, 'view0', ME)
  await book.addRoleRule(role.iden, [true, ['axon']], undefined, undefined, ME)
  await book.addApiKey(visi.iden, 'one', undefined, ME)
  await book.addApiKey(visi.iden, 'two', 1000, ME)
  await book.addUser({name: 'locked'}, ME)
  await book.setUserArchived(book.userByName('locked')?.iden ?? '', true, ME)
}

async function putRecord(store: GatedStore, table: string, key: string, value: unknown): Promise<void> {
  const effect = {kind: 'records', records: [{table, key, value: value === undefined ? null : JSON.stringify(value)}]}
  await store.append([{timeMs: 1, actor: 'test', change: '{}', effect: effect as never}])
}
