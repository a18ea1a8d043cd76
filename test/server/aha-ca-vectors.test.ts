import {readFileSync} from 'node:fs'
import {mkdtemp, readdir, readFile, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {parseCertificate} from '../../src/pki/cert-files.ts'
import {issueInto} from '../../src/pki/issuer.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {AHA_NETWORK} from '../support/aha.ts'
import {TestCell, type TestSession} from '../support/cell.ts'

interface Row {
  readonly as: string
  readonly meth: string
  /** The arguments, with the name in a request in place of the request. */
  readonly of: readonly Value[]
  readonly args: readonly Value[]
  readonly kwargs: Readonly<Record<string, Value>>
  readonly retn: readonly [boolean, unknown]
}

const [, ...LINES] = readFileSync(new URL('../vectors/aha-ca.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
const ROWS = LINES.map((line) => JSON.parse(line) as Row)

const OF_THE_NETWORK = 'a name of the own network counts as one, however many dots it has'
const BY_GRAMMAR = 'only names of the network of the authority, by grammar, are signed'
const UNREADABLE = 'the peer fails with an exception of Python'
/** Where ours answers otherwise on purpose, and why. */
const DEVIATIONS: Readonly<Record<string, readonly [why: string, ours: unknown]>> = {
  'root getCaCert ["../cas/demo.net"] {}': ['a network is no path', [true, null]],
  'csr signHostCsr ["00.axon.demo.net"] {}': [OF_THE_NETWORK, issued('00.axon.demo.net')],
  'root signHostCsr ["00.axon.demo.net"] {}': [OF_THE_NETWORK, issued('00.axon.demo.net')],
  'root signHostCsr ["00.axon.demo.net"] {"sans":"axon.demo.net"}': [
    'other words',
    refused('BadArg', '"axon.demo.net": not names that a certificate can have'),
  ],
  'root signHostCsr ["00.axon.demo.net"] {"sans":"newp:x"}': [
    'other words',
    refused('BadArg', '"newp:x": not names that a certificate can have'),
  ],
  'root signHostCsr ["00.axon.demo.net","newp.net"] {}': [BY_GRAMMAR, badHost('00.axon.demo.net')],
  'root signHostCsr ["www.example.com","demo.net"] {}': [BY_GRAMMAR, badHost('www.example.com')],
  'root signHostCsr ["axon"] {}': [UNREADABLE, badHost('axon')],
  'root signHostCsr ["axon","demo.net"] {}': [BY_GRAMMAR, badHost('axon')],
  'root signHostCsr ["demo.net","demo.net"] {}': [BY_GRAMMAR, badHost('demo.net')],
  'root signHostCsr ["a b.demo.net"] {}': [BY_GRAMMAR, badHost('a b.demo.net')],
  'root signHostCsr ["visi@demo.net","demo.net"] {}': [BY_GRAMMAR, badHost('visi@demo.net')],
  'root signHostCsr ["*.demo.net"] {}': [BY_GRAMMAR, badHost('*.demo.net')],
  'root signHostCsr [""] {}': [UNREADABLE, noRequest()],
  'root signHostCsr ["no name"] {}': [
    UNREADABLE,
    refused('BadCertBytes', 'the certificate request has not exactly one common name in a usable form'),
  ],
  'root signHostCsr ["00.axon.demo.net and 01.axon.demo.net"] {}': [
    'of several names none counts',
    refused('BadCertBytes', 'the certificate request has not exactly one common name in a usable form'),
  ],
  'root signHostCsr ["nonsense"] {}': [UNREADABLE, noRequest()],
  'root signUserCsr ["nonsense"] {}': [UNREADABLE, noRequest()],
  'root signHostCsr [null] {}': [UNREADABLE, refused('BadArg', 'a certificate request must be a text')],
  'root signUserCsr ["visi@other.net","demo.net"] {}': [BY_GRAMMAR, badUser('visi@other.net')],
  'root signUserCsr ["visi"] {}': [UNREADABLE, badUser('visi')],
  'root signUserCsr ["visi","demo.net"] {}': [BY_GRAMMAR, badUser('visi')],
  'root signUserCsr ["vi/si@demo.net"] {}': [BY_GRAMMAR, badUser('vi/si@demo.net')],
}

let dir: string
let certs: CertDir

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-ca-'))
  certs = new CertDir(dir)
  const terms = {nowMs: Date.now(), ttlMs: 315_360_000_000, keyType: 'p256', replace: false} as const
  for (const name of [AHA_NETWORK, 'other.net', 'third.net']) {
    await issueInto(certs, {...terms, purpose: 'ca', name, signAs: undefined})
  }
  await issueInto(certs, {...terms, purpose: 'host', name: `aha.${AHA_NETWORK}`, signAs: AHA_NETWORK})
  await issueInto(certs, {...terms, purpose: 'user', name: `root@${AHA_NETWORK}`, signAs: AHA_NETWORK})
})
afterAll(() => rm(dir, {recursive: true}))

test('certificates are asked for and signed as at the recorded AHA, but where we deviate on purpose', async () => {
  const cell = await TestCell.open({network: AHA_NETWORK}, {}, {certs})
  await cell.users.setUserPasswd(cell.users.rootIden, 'secret', 'test')
  const sessions = new Map<string, TestSession>([['root', await cell.login('root', 'secret')]])
  for (const [name, path] of [['nobody'], ['ca', ['ca', 'get']], ['gen', ['ca']], ['csr', ['csr']]] as const) {
    const {iden} = await cell.users.addUser({name, passwd: 'secret'}, 'test')
    if (path !== undefined) await cell.users.addUserRule(iden, [true, ['aha', ...path]], undefined, undefined, 'test')
    sessions.set(name, await cell.login(name, 'secret'))
  }
  const unused = new Set(Object.keys(DEVIATIONS))
  const own = await readFile(join(dir, 'hosts', `aha.${AHA_NETWORK}.crt`), 'utf8')
  for (const row of ROWS) {
    const title = `${row.as} ${row.meth} ${JSON.stringify(row.of)} ${JSON.stringify(row.kwargs)}`
    const [why, theirs] = DEVIATIONS[title] ?? ['as recorded', row.retn]
    unused.delete(title)
    const ours = await answerOf(sessions.get(row.as), row)
    expect.soft(ours, `${title}: ${why}`).toMatchObject(theirs as object)
  }
  expect([...unused], 'deviations that are listed but not recorded').toEqual([])
  expect(await readFile(join(dir, 'hosts', `aha.${AHA_NETWORK}.crt`), 'utf8'), 'its key is here').toBe(own)
  expect(await files()).toEqual([
    'hosts/00.axon.demo.net.crt',
    'hosts/00.axon.other.net.crt',
    'hosts/aha.demo.net.crt',
    'hosts/aha.demo.net.key',
    'hosts/axon.other.net.crt',
    'users/root@demo.net.crt',
    'users/root@demo.net.key',
    'users/visi@demo.net.crt',
    'users/visi@other.net.crt',
  ])
})

async function files(): Promise<readonly string[]> {
  const folders = await Promise.all(
    ['hosts', 'users'].map(async (kind) => (await readdir(join(dir, kind))).map((name) => `${kind}/${name}`)),
  )
  return folders.flat().toSorted()
}

async function answerOf(session: TestSession | undefined, {meth, args, kwargs}: Row): Promise<unknown> {
  try {
    return [true, shown(await session?.call(meth, args, kwargs))]
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    const {user, ...info} = error.info
    return [false, [error.telepath, {mesg: error.message, ...info, ...(user === undefined ? {} : {user: '$user'})}]]
  }
}

function shown(value: Value): unknown {
  if (typeof value !== 'string' || !value.startsWith('-----BEGIN CERTIFICATE')) return value
  const {subject, issuer, validFrom, validTo, subjectAltName = ''} = parseCertificate(value, 'an answer')
  const seconds = (Date.parse(validTo) - Date.parse(validFrom)) / 1000
  const names = subjectAltName === '' ? [] : subjectAltName.split(', ').map((name) => name.replace(/^\w+:/, ''))
  return {certificate: {subject: nameIn(subject), issuer: nameIn(issuer), seconds, names}}
}

function nameIn(subject: string): string {
  return subject.replace(/^CN=/, '')
}

function issued(name: string): unknown {
  return [true, {certificate: {subject: name}}]
}

function refused(telepath: string, mesg: string): unknown {
  return [false, [telepath, {mesg}]]
}

function badHost(name: string): unknown {
  return refused('BadArg', `Invalid host CSR CN=${name}.`)
}

function badUser(name: string): unknown {
  return refused('BadArg', `Invalid user CSR CN=${name}.`)
}

function noRequest(): unknown {
  return refused('BadCertBytes', 'there is no certificate request in PEM form')
}
