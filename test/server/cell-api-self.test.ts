import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {settle} from '../support/api.ts'
import {TestCell, type TestSession} from '../support/cell.ts'

const VECTORS = readFileSync(new URL('../vectors/cell-api.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')

function recorded(method: string): unknown {
  return VECTORS.map((line) => JSON.parse(line)).find((row) => row.meth === method).retn[1]
}

/** All paths to members of an object, lists and null counting as values. */
function pathsOf(value: unknown, path = ''): readonly string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path]
  return Object.entries(value).flatMap(([key, one]) => pathsOf(one, `${path}/${key}`))
}

async function open(given: Parameters<typeof TestCell.open>[1] = {}) {
  const cell = await TestCell.open({}, given)
  return {cell, root: await cell.session(undefined)}
}

describe('what a cell says of itself', () => {
  test('getCellInfo has every member of the recorded one', async () => {
    const {root} = await open()
    const info = await root.call('getCellInfo')
    const ours = pathsOf(info)
    // Announced is what is there, and what is stored has other versions.
    const theirs = pathsOf(recorded('getCellInfo')).filter((path) => !/^\/(features|cell\/cellvers)\//.test(path))
    expect(theirs.filter((path) => !ours.includes(path))).toEqual([])
    expect(info).toMatchObject({
      synapse: {version: [2, 256, 0]},
      cell: {type: 'ahacell', version: [0, 1, 0], nexsindx: 7, nexus: {indx: 7, readonly: false}},
      features: {tasks: 1, shutdowndrain: 1},
    })
  })

  test('getSystemInfo has every member of the recorded one, as numbers that can be', async () => {
    const {root} = await open()
    const info = (await root.call('getSystemInfo')) as Record<string, Value>
    expect(Object.keys(recorded('getSystemInfo') as object).filter((key) => !(key in info))).toEqual([])
    for (const key of ['volsize', 'volfree', 'cellapprdisk', 'totalmem', 'cpucount'])
      expect(info[key]).toBeGreaterThan(0)
  })

  test('every permission that a method asks for is among getPermDefs', async () => {
    const {cell, root} = await open()
    const visi = await cell.users.addUser({name: 'visi'}, 'test')
    const session = await cell.session('visi')
    const defined = ((await root.call('getPermDefs')) as {perm: string[]}[]).map(({perm}) => perm.join('.'))
    const asked = new Set<string>()
    const calls: [string, Value[]][] = [
      ['getHealthCheck', []],
      ['setUserPasswd', [cell.users.rootIden, 'x']],
      ['addUserApiKey', ['k', null, cell.users.rootIden]],
      ['listUserApiKeys', [cell.users.rootIden]],
      ['delUserApiKey', ['newp']],
      ['getAhaSvcs', []],
      ['addAhaSvc', ['axon', {urlinfo: {}}, 'net']],
      ['delAhaSvc', ['axon', 'net']],
    ]
    for (const [method, args] of calls) {
      const error = await session.call(method, args).catch((thrown: RegistryError) => thrown)
      if (error instanceof RegistryError) asked.add(String(error.info['perm']))
    }
    const service = ['aha.service.add.net.axon', 'aha.service.del.net.axon', 'aha.service.get']
    expect([...asked].sort()).toEqual([...service, 'auth.user.set.apikey', 'auth.user.set.passwd', 'health'])
    const isDefined = (perm: string) => defined.some((one) => perm === one || perm.startsWith(`${one}.`))
    expect([...asked].filter((perm) => !isDefined(perm))).toEqual([])
    expect(await root.call('getPermDef', [['health']])).toMatchObject({perm: ['health'], default: false})
    expect(visi.name).toBe('visi')
  })

  test('health is for those who may see it', async () => {
    const {cell} = await open()
    const {iden} = await cell.users.addUser({name: 'visi'}, 'test')
    const session = await cell.session('visi')
    await expect(session.call('getHealthCheck')).rejects.toThrow('User must have permission health')
    await cell.users.addUserRule(iden, [true, ['health']], undefined, undefined, 'test')
    expect(await session.call('getHealthCheck')).toMatchObject({status: 'nominal'})
  })
})

describe('reload', () => {
  const broken = () => Promise.reject(new RegistryError('REG_CERT_INVALID', 'no such file', {telepath: 'BadCertBytes'}))

  test('runs all, and one that fails does not keep the others from it', async () => {
    const reloads = new Map<string, () => Promise<Value>>([
      ['certs', broken],
      ['bug', () => Promise.reject(new TypeError('secret path'))],
      ['config', async () => ['log:level']],
    ])
    const {root} = await open({reloads})
    expect(await root.call('getReloadableSystems')).toEqual(['certs', 'bug', 'config'])
    expect(await root.call('reload')).toEqual({
      certs: [false, ['BadCertBytes', {mesg: 'no such file'}]],
      bug: [false, ['SynErr', {mesg: 'The reload failed; the log says why.'}]],
      config: [true, ['log:level']],
    })
    expect(await root.call('reload', ['config'])).toEqual({config: [true, ['log:level']]})
  })
})

describe('the log', () => {
  test('logs gives the last lines, structured, the oldest first', async () => {
    const {cell, root} = await open()
    cell.parts.log.info('first.thing', {count: 1})
    cell.parts.log.warning('second.thing', {passwd: 'planted'})
    const lines = await root.call('logs', [2])
    expect(lines).toMatchObject([
      {message: 'first.thing', level: 'INFO', params: {count: 1}},
      {message: 'second.thing', level: 'WARNING', params: {passwd: '***'}},
    ])
    expect(await root.call('logs', [0])).toEqual([])
  })

  test('watch goes on with what comes, and is a task until its caller leaves', async () => {
    const {cell, root} = await open()
    cell.parts.log.info('before', {})
    const items = await streamOf(root, 'watch', [1])
    expect((await items.next()).value).toMatchObject({message: 'before'})
    const next = items.next()
    cell.parts.log.info('after', {})
    expect((await next).value).toMatchObject({message: 'after'})
    expect(cell.parts.tasks.list()).toMatchObject([{name: 'watch', owner: {name: 'root'}}])
    root.leave.abort(new Error('gone'))
    await expect(items.next()).rejects.toThrow('killed')
    expect(cell.parts.tasks.list()).toEqual([])
  })

  test('a watch that is left early is no task any more', async () => {
    const {cell, root} = await open()
    cell.parts.log.info('before', {})
    const items = await streamOf(root, 'watch', [1])
    await items.next()
    await items.return?.()
    expect(cell.parts.tasks.list()).toEqual([])
  })

  test('a watch that never began leaves no task', async () => {
    const {cell, root} = await open()
    const items = await streamOf(root, 'watch')
    await items.return?.()
    expect(cell.parts.tasks.list()).toEqual([])
  })
})

describe('tasks', () => {
  test('calls that last are seen by their owner and by who may, and can be killed', async () => {
    const started = Promise.withResolvers<void>()
    const reloads = new Map([['slow', () => started.promise.then(() => null)]])
    const {cell, root} = await open({reloads})
    await cell.users.addUser({name: 'visi'}, 'test')
    const visi = await cell.session('visi')
    const slow = root.call('reload')
    await settle()
    const [task] = (await root.call('getTasks')) as {iden: string}[]
    const {rootIden} = cell.users
    expect(task).toEqual({
      iden: task?.iden,
      name: 'reload',
      info: {},
      tick: cell.parts.clock.wallMs(),
      user: rootIden,
      username: 'root',
      protected: false,
      background: false,
      kids: {},
      service: null,
    })
    const iden = String(task?.iden)
    expect(await root.call('getTask', [iden])).toEqual(task)
    expect(await root.call('ps')).toMatchObject([{iden, name: 'reload', user: 'root', kids: {}}])
    expect(await visi.call('ps')).toEqual([])
    const denied = `User (visi) must have permission task.del or own the task`
    await expect(visi.call('kill', [iden])).rejects.toThrow(denied)
    expect(await root.call('kill', [iden])).toBe(true)
    await expect(slow).rejects.toThrow('the task reload was killed')
    expect(await root.call('ps')).toEqual([])
    started.resolve()
  })
})

describe('shutdown', () => {
  test('stops after the answer', async () => {
    const {cell, root} = await open()
    expect(await root.call('shutdown')).toBe(true)
    await settle()
    expect(cell.stops).toBe(1)
  })

  test('waits for tasks, but for none that has no end', async () => {
    const done = Promise.withResolvers<null>()
    const {cell, root} = await open({reloads: new Map([['slow', () => done.promise]])})
    const watch = await streamOf(root, 'watch')
    const line = watch.next()
    const slow = root.call('reload')
    const stop = root.call('shutdown')
    await settle()
    expect(cell.stops).toBe(0)
    done.resolve(null)
    expect(await slow).toEqual({slow: [true, null]})
    expect(await stop).toBe(true)
    await settle()
    expect(cell.stops).toBe(1)
    await line
    await watch.return?.()
  })

  test('gives up when they are not done in time, and goes on', async () => {
    const done = Promise.withResolvers<null>()
    const {cell, root} = await open({reloads: new Map([['slow', () => done.promise]])})
    const slow = root.call('reload')
    expect(await root.call('shutdown', [0])).toBe(false)
    await settle()
    expect(cell.stops).toBe(0)
    done.resolve(null)
    await slow
  })

  test('without draining kills them', async () => {
    const {cell, root} = await open({reloads: new Map([['slow', () => new Promise<null>(() => {})]])})
    const slow = root.call('reload')
    const killed = expect(slow).rejects.toThrow('killed')
    expect(await root.call('shutdown', [], {drain: false})).toBe(true)
    await killed
    await settle()
    expect(cell.stops).toBe(1)
  })
})

async function streamOf(
  session: TestSession,
  method: string,
  args: readonly Value[] = [],
): Promise<AsyncIterator<Value>> {
  const answer = await session.answer(method, args)
  if (answer.kind !== 'stream') throw new Error(`${method} gave no stream`)
  return answer.items[Symbol.asyncIterator]()
}
