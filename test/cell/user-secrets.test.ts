import {inspect} from 'node:util'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {Secret} from '../../src/base/secret.ts'
import {openBook} from '../support/users.ts'

const ME = 'telepath/root'
const ROOT = 'planted-Root-4711'
const VISI = 'planted-Visi-0815'
const REFUSED = 'planted-Refused-§§§-abc'
const WRONG = 'planted-Wrong-1234'

describe('a secret', () => {
  test('is in no entry, no record, no log line and no error, whatever is done with it', async () => {
    const policy = {attempts: 2, previous: 3, complexity: {sequences: 3}}
    using opened = await openBook({policy, rootPasswd: new Secret(ROOT)})
    const {book, store, logged, changeLog} = opened
    const thrown: unknown[] = []
    const attempt = async (call: Promise<unknown>) => {
      await call.catch((error: unknown) => thrown.push(error))
    }

    const {iden} = await book.addUser({name: 'visi', passwd: VISI, email: 'visi@x'}, ME)
    const onepass = await book.genUserOnepass(iden, 60_000, ME)
    const unused = await book.genUserOnepass(book.rootIden, 60_000, ME)
    const {text} = await book.addApiKey(iden, 'ci', undefined, ME)
    const secret = Buffer.from(text, 'base64url').subarray(16)
    const wrongKey = Buffer.from(text, 'base64url').fill(7, 16).toString('base64url')
    await book.login('visi', onepass, ME)
    await book.checkApiKey(text)
    await attempt(book.setUserPasswd(iden, REFUSED, ME))
    await attempt(book.setUserPasswd(iden, VISI.repeat(100), ME))
    await attempt(book.addUser({name: 'visi', passwd: VISI}, ME))
    await attempt(book.addUser({name: 'x', passwd: `${VISI}\ud800`}, ME))
    for (const name of ['visi', 'visi', 'root', 'root', 'root', 'ghost']) await attempt(book.login(name, WRONG, ME))
    await attempt(book.checkApiKey(`${wrongKey}=`))
    await attempt(book.checkApiKey(text.slice(1)))
    changeLog.hold('test', 'read-only')
    await attempt(book.setUserPasswd(iden, 'planted-Held-999', ME))
    await attempt(book.login('root', unused, ME))
    expect(thrown).toHaveLength(14)

    const written = [
      ...(await store.allEntries()).map((entry) => JSON.stringify(entry)),
      ...(await store.allRecords()).map((record) => JSON.stringify(record)),
      ...logged,
      ...thrown.map((error) => inspect(error, {depth: 20, showHidden: true})),
      ...thrown.map((error) => (error instanceof RegistryError ? JSON.stringify([error.info, error.hints]) : '')),
      inspect(book, {depth: 20, showHidden: true}),
    ].join('\n')
    expect(written).toContain('user.locked-by-attempts')
    expect(written).toContain('Cannot change password due to')
    const secrets = [ROOT, VISI, WRONG, 'planted', '§', onepass, unused, text, secret.toString('hex')]
    const forms = secrets.flatMap((one) => [one, Buffer.from(one).toString('hex'), Buffer.from(one).toString('base64')])
    forms.push(secret.toString('base64').slice(0, 20), secret.toString('base64url').slice(0, 20))
    for (const form of forms) expect(written.includes(form), form).toBe(false)
  })
})
