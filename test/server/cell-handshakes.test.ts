// What a real cell answered to greetings and first calls (vectors cell-* of telepath.jsonl), compared with ours: the facts, not the bytes,
// whose form is the daemon's business.
import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {decode} from '../../src/wire/msgpack/decode.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Peer} from '../../src/wire/telepath/share.ts'
import {TestCell, type TestSession} from '../support/cell.ts'

interface Frame {
  readonly case: string
  readonly conn: number
  readonly dir: 'c2s' | 's2c'
  readonly hex: string
}

type Body = Readonly<Record<string, Value>>
type Exchange = {readonly asked: Body; readonly answered: Body}

const FRAMES = readFileSync(new URL('../vectors/telepath.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Frame)
  .filter(({hex}) => hex !== '')
const TCP: Peer = {family: 'tcp', address: '127.0.0.1', port: 1}
/** Where in the source of the peer an error was made. */
const PLACE = ['efile', 'eline', 'esrc', 'ename']

function bodyOf({hex}: Frame): Body {
  const [, body] = decode(Buffer.from(hex, 'hex')) as readonly [string, Body]
  return body
}

/** A question of a case and its answer. */
function exchange(name: string, index = 0): Exchange {
  const frames = FRAMES.filter((frame) => frame.case === name)
  const [asked, answered] = ['c2s', 's2c'].map((way) => frames.filter(({dir}) => dir === way)[index])
  if (asked === undefined || answered === undefined) throw new Error(`${name} has no question ${index}`)
  return {asked: bodyOf(asked), answered: bodyOf(answered)}
}

/** The value that a call of a case was answered with. */
function answerOf(name: string, index: number): unknown {
  const [, value] = exchange(name, index).answered['retn'] as readonly [boolean, unknown]
  return value
}

async function cellWith(anonymous?: string): Promise<TestCell> {
  const cell = await TestCell.open({anonymous}, {aha: undefined})
  await cell.users.setUserPasswd(cell.users.rootIden, 'secret', 'test')
  await cell.users.addUser({name: 'visi', passwd: 'visipass'}, 'test')
  await cell.users.addUser({name: 'nopass'}, 'test')
  const {iden} = await cell.users.addUser({name: 'locked', passwd: 'lockedpass'}, 'test')
  await cell.users.setUserLocked(iden, true, 'test')
  return cell
}

/** Sends a recorded greeting, as the daemon takes it apart. */
function greet(cell: TestCell, {auth, name}: Body): Promise<TestSession> {
  const [share = '', ...path] = String(name || '*').split('/')
  const [user, {passwd}] = (auth ?? ['', {passwd: null}]) as readonly [string, {readonly passwd: string | null}]
  return cell.session(undefined, {peer: TCP, name: share, path, auth: auth === null ? undefined : {user, passwd}})
}

async function retnOf(work: Promise<unknown>): Promise<unknown> {
  try {
    return [true, await work]
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    return [false, [error.telepath, {mesg: error.message, ...error.info}]]
  }
}

/** An error without its place, and without idens, which are other ones here. */
function expectedError(retn: Value): unknown {
  const [, [name, info]] = retn as readonly [boolean, readonly [string, Body]]
  const facts = Object.entries(info).filter(([key]) => !PLACE.includes(key))
  return [
    false,
    [name, Object.fromEntries(facts.map(([key, one]) => [key, key === 'user' ? expect.any(String) : one]))],
  ]
}

describe.each([
  'cell-auth-nosuchuser',
  'cell-auth-badpasswd',
  'cell-auth-nopasswd',
  'cell-auth-userwithoutpasswd',
  'cell-auth-locked',
  'cell-auth-noauth',
  'cell-noshare',
])('%s', (name) => {
  test('is refused with the same name and facts', async () => {
    const greeting = exchange(name)
    const retn = await retnOf(greet(await cellWith(), greeting.asked))
    expect(retn).toMatchObject(expectedError(greeting.answered['retn']) as object)
  })
})

describe.each(['cell-ok', 'cell-anon', 'cell-notadmin', 'cell-badpath'])('%s', (name) => {
  test('opens a session that is told the same', async () => {
    const greeting = exchange(name)
    const {opened} = await greet(await cellWith('visi'), greeting.asked)
    expect(opened.ahaInfo).toEqual(greeting.answered['ahainfo'])
    // Announced is a part of what the peer has.
    expect(greeting.answered['features']).toMatchObject(opened.features ?? {})
    const {classes, meths} = greeting.answered['sharinfo'] as {
      readonly classes: readonly string[]
      readonly meths: Body
    }
    expect(opened.share.info.classes).toEqual(classes)
    for (const [method, {isGenerator}] of opened.share.info.methods) {
      if (!OWN_METHODS.has(method)) expect([method, meths[method]]).toEqual([method, isGenerator ? {genr: true} : {}])
    }
  })
})

/** Methods that no peer has. */
const OWN_METHODS: ReadonlySet<string> = new Set([
  ...['checkLog', 'followAck', 'followLog', 'getHistory', 'getRegistryInfo', 'setServiceMaintenance'],
  ...['forward', 'redeem', 'trimLog', 'iterSnapshot', 'dropSnapshot'],
  ...['getMembers', 'forgetMember', 'getLogPlace', 'fence', 'leadAgain'],
  ...['streamBackup', 'archiveAck', 'archiveLog', 'noteBackupFollowed'],
])

test('cell-ok: getCellUser gives a user of the same shape', async () => {
  const session = await greet(await cellWith(), exchange('cell-ok').asked)
  const theirs = answerOf('cell-ok', 2) as Body
  expect(await session.call('getCellUser')).toEqual({...theirs, iden: expect.any(String)})
})

test('cell-dmonsessions: a session is listed in the same shape', async () => {
  const session = await greet(await cellWith(), exchange('cell-dmonsessions').asked)
  const [theirs] = answerOf('cell-dmonsessions', 1) as readonly [Listed]
  const [ours] = (await session.call('getDmonSessions')) as unknown as readonly [Listed]
  expect(ours.conninfo).toEqual({...theirs.conninfo, addr: ['127.0.0.1', 1]})
  expect(ours.user).toEqual({...theirs.user, iden: expect.any(String)})
  expect([...ours.items.keys()]).toEqual([...theirs.items.keys()])
})

interface Listed {
  readonly conninfo: Body
  readonly user: Body
  readonly items: ReadonlyMap<null, string>
}
