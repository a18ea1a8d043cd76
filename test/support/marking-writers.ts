// Those who change things at a member all the time, over ZeroMQ and over Telepath, and keep what they were told.
import {setTimeout as delay} from 'node:timers/promises'
import {Subscriber} from 'zeromq'
import {RegistryError} from '../../src/base/errors.ts'
import {openTelepath} from '../../src/client/telepath/open.ts'
import type {TelepathProxy} from '../../src/wire/telepath/caller.ts'
import type {Member} from './member-cell.ts'
import {ClosedError, RawClient} from './raw-client.ts'
import {marksIn, type Told, type ToldHistory} from './told-history.ts'

/** Of each writer: so many changes are under way at a time. */
const LANES = 3
/** Between two changes of a lane: what is proved does not depend on how many there are. */
const PAUSE_MS = 10

/** Changes things at one member until it is told to end, whatever becomes of the member. */
export class MarkingWriters {
  readonly #member: Member
  readonly #history: ToldHistory
  readonly #done: Promise<unknown>
  #isEnding = false
  #client: RawClient | undefined

  constructor(member: Member, name: string, history: ToldHistory) {
    this.#member = member
    this.#history = history
    const lanes = Array.from({length: LANES}, (_, lane) => lane)
    this.#done = Promise.all([
      ...lanes.map((lane) => this.#register(`z${name}${lane}`)),
      ...lanes.map((lane) => this.#addRoles(`t${name}${lane}`)),
    ])
  }

  /** Ends when what is under way has its outcome. */
  async end(): Promise<void> {
    this.#isEnding = true
    await this.#done
    this.#client?.close()
    this.#client = undefined
  }

  async #register(lane: string): Promise<void> {
    while (!this.#isEnding) {
      const client = this.#connected()
      const told = this.#history.ask(lane)
      try {
        const {success, error} = await client.registerOnce(lane, {metadata: {mark: told.mark}})
        settle(told, success, error)
      } catch (error) {
        if (!(error instanceof ClosedError)) throw error
        settle(told, false, 'the member is gone')
      }
      await delay(PAUSE_MS)
    }
  }

  /** A connection that has ended gets no answers to what was asked before: all lanes take a new one. */
  #connected(): RawClient {
    if (this.#client !== undefined) return this.#client
    const client = new RawClient(this.#member.ports.req)
    this.#client = client
    void client.disconnected().then(() => {
      if (this.#client === client) this.#client = undefined
      client.close()
    })
    return client
  }

  async #addRoles(lane: string): Promise<void> {
    let root: TelepathProxy | undefined
    while (!this.#isEnding) {
      const told = this.#history.ask(lane)
      try {
        root ??= await openTelepath(`cell://${this.#member.dir}`)
        await root.call('addRole', {args: [told.mark]})
        settle(told, true, undefined)
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error
        settle(told, false, `${error.code}: ${error.message}`)
        if (error.code === 'REG_LINK_CLOSED' || error.code === 'REG_UNREACHABLE') root = undefined
      }
      await delay(PAUSE_MS)
    }
    await root?.close()
  }
}

function settle(told: Told, isDone: boolean, why: string | undefined): void {
  told.outcome = isDone ? 'done' : 'not done'
  told.why = why ?? ''
}

/** The marks of the events of a member, in order. */
export class EventMarks implements Disposable {
  readonly marks: string[] = []
  readonly #socket = new Subscriber({linger: 0, receiveHighWaterMark: 0})

  constructor({ports}: Member) {
    this.#socket.subscribe('register')
    this.#socket.connect(`tcp://127.0.0.1:${ports.pub}`)
    void this.#read().catch(() => undefined) // the socket was closed
  }

  async #read(): Promise<void> {
    for await (const frames of this.#socket) this.marks.push(...marksIn(`${frames.at(-1)}`))
  }

  [Symbol.dispose](): void {
    this.#socket.close()
  }
}
