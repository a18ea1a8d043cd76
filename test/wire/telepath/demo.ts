import {once} from 'node:events'
import {RegistryError} from '../../../src/base/errors.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import type {Answer, Call, Greeting, Opened, Share, ShareInfo} from '../../../src/wire/telepath/share.ts'
import {noSuchMethod} from '../../../src/wire/telepath/unknown.ts'

type Method = (call: Call) => Answer | Promise<Answer>

/** An object that is described by its methods; those whose name ends in `*` are generators. */
export class TestShare implements Share {
  readonly info: ShareInfo
  readonly #methods = new Map<string, Method>()

  constructor(className: string, methods: Readonly<Record<string, Method>>) {
    const flags = new Map<string, {isGenerator: boolean}>()
    for (const [key, method] of Object.entries(methods)) {
      const name = key.replace('*', '')
      flags.set(name, {isGenerator: key !== name})
      this.#methods.set(name, method)
    }
    this.info = {classes: [className], methods: flags}
  }

  call(call: Call): Answer | Promise<Answer> {
    const method = this.#methods.get(call.method)
    if (method === undefined) throw noSuchMethod(this.info, call.method)
    return method(call)
  }
}

export const value = (of: Value): Answer => ({kind: 'value', value: of})
export const stream = (items: AsyncIterable<Value>): Answer => ({kind: 'stream', items})

/** Behaves as the object `demo` of the recorded server. */
export function demoShare(): TestShare {
  return new TestShare('telefix.Demo', {
    add,
    'asyncboom*': (call) => stream(boom(Number(call.args[0]))),
    'asynclist*': (call) => {
      if (call.args.length !== 1) throw argsError('Demo.asynclist() takes 2 positional arguments but 3 were given')
      return stream(count(Number(call.args[0])))
    },
    counter: (call) => ({kind: 'share', share: counterShare(Number(call.args[0]))}),
    deny: () => {
      throw new RegistryError('REG_DENIED', 'not for you', {info: {user: '9'.repeat(32), username: 'visi'}})
    },
    echo: (call) => value(call.args[0]),
    nothing: () => value(null),
    raze: () => {
      throw new RegistryError('REG_BAD_REQUEST', 'demo failure', {telepath: 'SynErr', info: {key: 'valu', num: 7}})
    },
    // The record's short waits are left out; a long one is cut by its caller.
    slow: async ({args, signal}) => {
      if (Number(args[0]) >= 1) await aborted(signal)
      return value('done')
    },
    'slowgenr*': (call) => stream(untilAborted(call.signal)),
    synclist: (call) => stream(count(call.args[0])),
    unsafe: () => value(Symbol('unsafe') as unknown as Value),
    valueerr: () => {
      throw new RegistryError('REG_BAD_REQUEST', 'plain python error', {telepath: 'ValueError'})
    },
  })
}

/** Gives `demo` under the names that the recorded server had for it, and an object that tells the path. */
export function greetDemo({name, path}: Greeting): Opened {
  if (name === 'demo' || name === '*') return {share: demoShare()}
  if (name === 'aware') {
    const where = new TestShare('telefix.Sub', {where: () => value(path.join('/'))})
    return {share: path.length > 0 ? where : demoShare(), features: {demofeat: 2}}
  }
  throw new RegistryError('REG_NOT_FOUND', `nothing is shared as ${name}`, {info: {name}})
}

function add({args, kwargs}: Call): Answer {
  if (args.length > 2) {
    throw argsError(`Demo.add() takes from 2 to 3 positional arguments but ${args.length + 1} were given`)
  }
  if (args.length === 0) throw argsError("Demo.add() missing 1 required positional argument: 'x'")
  return value(Number(args[0]) + Number(args[1] ?? kwargs['y'] ?? 1))
}

function counterShare(start: number): TestShare {
  let at = start
  return new TestShare('telefix.Counter', {
    add: (call) => {
      at += Number(call.args[0])
      return value(at)
    },
    'upto*': () => stream(count(at)),
  })
}

async function* count(to: Value): AsyncGenerator<Value> {
  if (typeof to !== 'number') throw argsError("'str' object cannot be interpreted as an integer")
  for (let i = 0; i < to; i++) yield i
}

async function* boom(after: number): AsyncGenerator<Value> {
  yield* count(after)
  throw new RegistryError('REG_CONFLICT', 'boom after items')
}

async function* untilAborted(signal: AbortSignal): AsyncGenerator<Value> {
  yield 'first'
  await aborted(signal)
}

/** Resolves when the caller is gone. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}

function argsError(message: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', message, {telepath: 'TypeError'})
}
