// The listener for one-time URLs of our AHA, on loopback, which can be made to answer wrongly, or not at all.
import {onTestFinished} from 'vitest'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import type {Greet} from '../../../src/wire/telepath/share.ts'
import {TestProvision} from '../../support/provision.ts'
import {Served} from '../../wire/telepath/served.ts'

/** Gives another answer than the one that the AHA has. Throwing is the AHA's error. */
export type Meddle = (method: string, answer: Value, aha: OnceAha) => Value | Promise<Value>

export class OnceAha {
  readonly provision: TestProvision
  /** Methods that were called, in order. */
  readonly calls: string[] = []
  /** Greetings that came. */
  greetings = 0
  meddle: Meddle | undefined
  #served: Served

  private constructor(provision: TestProvision, served: Served) {
    this.provision = provision
    this.#served = served
  }

  /** For one test. */
  static async start(meddle?: Meddle): Promise<OnceAha> {
    const provision = await TestProvision.open()
    const made: {aha?: OnceAha} = {}
    const greet: Greet = async (greeting, sessionId) => await (made.aha as OnceAha).#greet(greeting, sessionId)
    const aha = new OnceAha(provision, await Served.start({greet}))
    made.aha = aha
    aha.meddle = meddle
    onTestFinished(async () => {
      await aha.#served[Symbol.asyncDispose]()
      provision.book[Symbol.dispose]()
    })
    return aha
  }

  get port(): number {
    return this.#served.port
  }

  url(iden: string): string {
    return `tcp://127.0.0.1:${this.port}/${iden}`
  }

  async userUrl(name = 'visi', again = false): Promise<string> {
    return this.url(await this.provision.user(name, again))
  }

  async serviceUrl(name = '00.registry', provinfo: Value = null): Promise<string> {
    return this.url(await this.provision.service(name, provinfo))
  }

  async cloneUrl(host?: string): Promise<string> {
    return this.url(await this.provision.clone(host))
  }

  /** Cuts all connections, as a crash does. */
  cut(): void {
    this.#served.daemon.closePeers(() => true)
  }

  async #greet(...[greeting, sessionId]: Parameters<Greet>): Promise<Awaited<ReturnType<Greet>>> {
    this.greetings += 1
    // As if it had come over TLS: what that does is tested elsewhere.
    const opened = await this.provision.greet({...greeting, peer: {...greeting.peer, family: 'tls'}}, sessionId)
    const {share} = opened
    const call: typeof share.call = async (call) => {
      this.calls.push(call.method)
      const answer = await share.call(call)
      if (answer.kind !== 'value' || this.meddle === undefined) return answer
      return {kind: 'value', value: await this.meddle(call.method, answer.value, this)}
    }
    return {...opened, share: {info: share.info, call}}
  }
}
