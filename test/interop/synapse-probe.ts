// The methods of `ProbeApi` in synapse-service.py, as a share of our own daemon: the same tests run against both.
import {RegistryError} from '../../src/base/errors.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Answer, Call, Share, ShareInfo} from '../../src/wire/telepath/share.ts'

type Method = (call: Call) => Answer | Promise<Answer>

const STREAMS = new Set(['count', 'fill', 'upto'])

/** What runs and is open at a server, as `ProbeApi.state` tells it. */
export interface ProbeState {
  readonly streams: number
  readonly waiting: number
  readonly sent: number
  readonly shares: number
}

/** One for each server: what it counts is what its clients have left running or open. */
export class ProbeShare implements Share {
  readonly info: ShareInfo
  readonly #methods: Readonly<Record<string, Method>>
  readonly #state = {streams: 0, waiting: 0, sent: 0, shares: 0}

  constructor() {
    this.#methods = {
      echo: ({args, kwargs}) => answerOf([args, kwargs]),
      value: ({args: [value]}) => answerOf(value),
      fail: ({args: [name, info]}) => fail(String(name), info as Record<string, Value>),
      crash: ({args: [mesg]}) => {
        throw new Error(String(mesg))
      },
      count: (call) => ({kind: 'stream', items: this.#count(call)}),
      fill: ({args}) => ({kind: 'stream', items: this.#fill(Number(args[0]), Number(args[1]))}),
      wait: (call) => this.#wait(call),
      share: ({args: [start]}) => this.#counter(Number(start)),
      state: () => answerOf({...this.#state}),
    }
    this.info = infoOf('ProbeApi', Object.keys(this.#methods))
  }

  call(call: Call): Answer | Promise<Answer> {
    return methodOf(this.#methods, call)(call)
  }

  async *#count({args: [number], kwargs}: Call): AsyncGenerator<Value> {
    this.#state.streams++
    try {
      for (let value = 0; value < Number(number); value++) {
        if (value === kwargs['fail_at']) fail('BadArg', {mesg: 'no further', name: 'count', valu: value})
        if (kwargs['pause']) await new Promise((resolve) => setTimeout(resolve, Number(kwargs['pause']) * 1000))
        yield value
      }
    } finally {
      this.#state.streams--
    }
  }

  async *#fill(number: number, size: number): AsyncGenerator<Value> {
    for (let value = 0; value < number; value++) {
      this.#state.sent = value + 1
      yield Buffer.alloc(size)
    }
  }

  async #wait({args: [seconds], signal}: Call): Promise<Answer> {
    this.#state.waiting++
    const {promise, resolve} = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, Number(seconds) * 1000)
    signal.addEventListener('abort', () => resolve(), {once: true})
    await promise
    clearTimeout(timer)
    this.#state.waiting--
    return answerOf(null)
  }

  #counter(start: number): Answer {
    this.#state.shares++
    let total = start
    const methods: Readonly<Record<string, Method>> = {
      add: ({args: [number]}) => {
        total += Number(number)
        return answerOf(total)
      },
      upto: ({args: [number]}) => ({kind: 'stream', items: range(total, Number(number))}),
    }
    const share = {
      info: infoOf('ProbeShare', Object.keys(methods)),
      call: (call: Call) => methodOf(methods, call)(call),
    }
    const closed = () => {
      this.#state.shares--
    }
    return {kind: 'share', share, closed}
  }
}

const answerOf = (value: Value): Answer => ({kind: 'value', value})

const infoOf = (name: string, methods: readonly string[]): ShareInfo => ({
  classes: [`__main__.${name}`],
  methods: new Map(methods.map((method) => [method, {isGenerator: STREAMS.has(method)}])),
})

function methodOf(methods: Readonly<Record<string, Method>>, {method}: Call): Method {
  const found = methods[method]
  if (found) return found
  throw new RegistryError('REG_NOT_FOUND', `there is no method ${method}`, {
    telepath: 'NoSuchMeth',
    info: {name: method},
  })
}

function fail(telepath: string, {mesg, ...info}: Record<string, Value>): never {
  throw new RegistryError('REG_BAD_REQUEST', String(mesg), {telepath, info})
}

async function* range(from: number, to: number): AsyncGenerator<Value> {
  for (let value = from; value < to; value++) yield value
}
