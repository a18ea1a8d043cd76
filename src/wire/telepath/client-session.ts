/**
 * A session as its client has it: the link that it lives on, and the links that calls are made on.
 *
 *     session link    tele:syn; lives as long as the session; drops dynamic shares
 *     pool links      one call at a time on each, more are opened as more calls are made at once
 *
 * @see spec/telepath.md, sections 3 to 7
 */
import {RegistryError} from '../../base/errors.ts'
import type {Value} from '../msgpack/value.ts'
import {CallLink, type CallLinkOptions, type Dial} from './call-link.ts'
import type {CallOptions} from './caller.ts'
import {LinkPool} from './link-pool.ts'
import {Patience} from './patience.ts'
import {
  callMessage,
  greetingMessage,
  type Login,
  type Reply,
  readReply,
  readWelcome,
  shareEndMessage,
  type Welcome,
} from './server-messages.ts'
import type {ShareInfo} from './share.ts'

export interface ProxyOptions {
  readonly dial: Dial
  /** Where the peer is, for texts: `ssl://host:port`. */
  readonly peer: string
  /** Name of the share, and a path behind it. */
  readonly name: string
  readonly login?: Login | undefined
  /** Longest time until the session is there, and for each further link; 10 000 when absent. 0 is no limit. */
  readonly connectMs?: number | undefined
  /** Limit of a call that names none; 60 000 when absent. 0 is no limit. */
  readonly timeoutMs?: number | undefined
  /** Links that are opened ahead of calls, 4 when absent, as the peers do; 0 for who makes one call at a time. */
  readonly spareLinks?: number | undefined
  /** Largest message that is taken; 64 MiB when absent. */
  readonly maxMessageBytes?: number | undefined
  /** Gives values as the exact decoder does. */
  readonly isExact?: boolean | undefined
  /** Says what an error of the socket means where it means more than that the link is gone: a certificate that the peer refused. */
  readonly explain?: CallLinkOptions['explain']
  /** Gives up while the session is opened. */
  readonly signal?: AbortSignal | undefined
}

const DEFAULT_CONNECT_MS = 10_000
const DEFAULT_TIMEOUT_MS = 60_000
const DEFAULT_SPARE_LINKS = 4
const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
/** The answer to the greeting lists all methods of the peer: 5 KB for most, and never as much as this. */
const MAX_WELCOME_BYTES = 1024 * 1024

/** A call that has been made: its link, and what the peer said first. */
interface Begun {
  readonly link: CallLink
  readonly reply: Exclude<Reply, {kind: 'error' | 'item' | 'end' | 'junk'}>
  readonly patience: Patience
  readonly about: string
}

/** Throws as `openProxy`. */
export async function openSession(options: ProxyOptions): Promise<readonly [ClientSession, Welcome]> {
  const {peer, name, login, maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES} = options
  const session = new ClientSession(options)
  const link = await openLink(options, MAX_WELCOME_BYTES, {
    onEnded: (_link, reason) => session.end(reason),
    // A server may say that it dropped a share: the next call on it will be refused. Whatever else comes unasked is not for us.
    onUnasked: () => undefined,
  })
  using patience = patienceOf(options, `${peer} did not answer the greeting`)
  try {
    patience.begin(link)
    link.send(greetingMessage(name, login))
    const welcome = readWelcome(await link.next(), `opening ${peer}`)
    link.maxBytes = maxMessageBytes
    session.begin(link, welcome.sessionId)
    link.settle()
    return [session, welcome]
  } catch (error) {
    link.fail(error)
    throw error
  }
}

export class ClientSession {
  /** Resolves when the session is over; with the reason, unless it was closed here. */
  readonly closed: Promise<Error | undefined>
  readonly #options: ProxyOptions
  readonly #pool: LinkPool
  /** Links with a call under way. */
  readonly #busy = new Set<CallLink>()
  readonly #closed = Promise.withResolvers<Error | undefined>()
  #link: CallLink | undefined
  #id = ''
  /** Why there is no session any more. */
  #ended: RegistryError | undefined

  /** Use `openSession`. */
  constructor(options: ProxyOptions) {
    const {spareLinks: spare = DEFAULT_SPARE_LINKS} = options
    this.#options = options
    this.#pool = new LinkPool({spare, open: () => this.#open()})
    this.closed = this.#closed.promise
  }

  begin(link: CallLink, id: string): void {
    this.#link = link
    this.#id = id
  }

  /** Ends the session for a reason, or because it is not wanted any more. Idempotent. */
  end(reason?: RegistryError): void {
    if (this.#ended !== undefined) return
    this.#ended =
      reason ?? this.#error('REG_LINK_CLOSED', `the session with ${this.#options.peer} was closed`, 'IsFini')
    this.#pool.close()
    for (const link of this.#busy) link.fail(this.#ended)
    this.#link?.close()
    this.#closed.resolve(reason)
  }

  /** Drops a dynamic share at the peer. */
  dropShare(iden: string): void {
    if (this.#ended === undefined) this.#link?.send(shareEndMessage(iden))
  }

  async call(method: string, options: CallOptions, share: string | null): Promise<Value> {
    const {link, reply, patience, about} = await this.#begin(method, options, share)
    using _patience = patience
    if (reply.kind !== 'value') throw this.#mismatch(link, reply, about)
    this.#finish(link)
    return reply.value
  }

  /** Gives the iden of the dynamic share that the method answers with. */
  async share(
    method: string,
    options: CallOptions,
    share: string | null,
  ): Promise<{readonly iden: string; readonly info: ShareInfo}> {
    const {link, reply, patience, about} = await this.#begin(method, options, share)
    using _patience = patience
    if (reply.kind !== 'share') throw this.#mismatch(link, reply, about)
    this.#finish(link)
    return reply
  }

  async *stream(method: string, options: CallOptions, share: string | null): AsyncGenerator<Value, void> {
    const begun = await this.#begin(method, options, share)
    const {link, reply, patience, about} = begun
    using _patience = patience
    if (reply.kind === 'value' && reply.value === null) this.#finish(link)
    else if (reply.kind === 'stream') yield* this.#items(begun)
    else throw this.#mismatch(link, reply, about)
  }

  async *#items({link, patience, about}: Begun): AsyncGenerator<Value, void> {
    let isOver = false
    try {
      while (!isOver) {
        patience.begin(link)
        const next = readReply(await link.next(), about)
        patience.pause()
        if (next.kind === 'item') yield next.value
        else if (next.kind !== 'end') throw this.#violation(about, next)
        else isOver = true
        if (next.kind === 'end' && 'error' in next) throw next.error
      }
    } finally {
      // There is no message to end a stream early: the peer ends its generator when the link is closed.
      if (isOver) this.#finish(link)
      else link.fail(this.#ended)
    }
  }

  async #begin(method: string, options: CallOptions, share: string | null): Promise<Begun> {
    const {args = [], kwargs = {}, signal, timeoutMs = this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS} = options
    const about = `${method} of ${this.#options.peer}`
    const message = callMessage([method, args, withoutUndefined(kwargs)], share, this.#id)
    const patience = new Patience({timeoutMs, signal, about: `${about} was not answered`})
    try {
      if (this.#ended !== undefined) throw this.#ended
      const link = this.#pool.take() ?? (await this.#openWithin(patience))
      this.#busy.add(link)
      patience.begin(link)
      link.send(message)
      options.onSent?.()
      const reply = this.#first(link, readReply(await link.next(), about), about)
      patience.pause()
      return {link, reply, patience, about}
    } catch (error) {
      patience[Symbol.dispose]()
      throw error
    }
  }

  #first(link: CallLink, reply: Reply, about: string): Begun['reply'] {
    if (reply.kind === 'value' || reply.kind === 'share' || reply.kind === 'stream') return reply
    if (reply.kind === 'error') {
      this.#finish(link)
      throw reply.error
    }
    const error = this.#violation(about, reply)
    link.fail(error)
    throw error
  }

  /** Opens a link for a caller with so much patience; if it comes too late for him it is kept for others. */
  #openWithin(patience: Patience): Promise<CallLink> {
    return new Promise((resolve, reject) => {
      let isGivenUp = false
      const fail = (error: unknown) => {
        isGivenUp = true
        reject(error)
      }
      patience.begin({fail})
      this.#open().then((link) => (isGivenUp ? this.#pool.give(link) : resolve(link)), fail)
    })
  }

  async #open(): Promise<CallLink> {
    const {maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES, signal: _openingOnly, ...options} = this.#options
    const onEnded = (link: CallLink) => {
      this.#busy.delete(link)
      this.#pool.remove(link)
    }
    const link = await openLink(options, maxMessageBytes, {onEnded})
    if (this.#ended === undefined) return link
    link.close()
    throw this.#ended
  }

  /** Takes a link back on which the exchange has come to its end. */
  #finish(link: CallLink): void {
    this.#busy.delete(link)
    link.settle()
    this.#pool.give(link)
  }

  /** Makes the error for an answer of another kind than was asked for, and puts the link in order. */
  #mismatch(link: CallLink, reply: Begun['reply'], about: string): RegistryError {
    const error = this.#violation(about, reply)
    if (reply.kind === 'share') this.dropShare(reply.iden)
    if (reply.kind === 'stream') link.fail(error)
    else this.#finish(link)
    return error
  }

  #violation(about: string, reply: Reply): RegistryError {
    return this.#error('REG_BAD_ANSWER', `${about} was answered with ${NAMES[reply.kind]}`)
  }

  #error(code: 'REG_BAD_ANSWER' | 'REG_LINK_CLOSED', text: string, telepath?: string): RegistryError {
    const info = {peer: this.#options.peer}
    return new RegistryError(code, text, telepath === undefined ? {info} : {info, telepath})
  }
}

const NAMES: Readonly<Record<Reply['kind'], string>> = {
  value: 'a value',
  error: 'an error in a stream',
  stream: 'a stream',
  item: 'an item without a stream',
  end: 'the end of a stream that did not begin',
  share: 'a share',
  junk: 'a message that is none of Telepath',
}

/** Connects and makes a link of it, within the time for that. */
async function openLink(
  options: ProxyOptions,
  maxBytes: number,
  events: Pick<CallLinkOptions, 'onEnded' | 'onUnasked'>,
): Promise<CallLink> {
  const {dial, peer, explain, isExact} = options
  const aborter = new AbortController()
  using patience = patienceOf(options, `there was no connection to ${peer}`)
  patience.begin({fail: (error) => aborter.abort(error)})
  return new CallLink(await dial(aborter.signal), {peer, maxBytes, isExact, explain, ...events})
}

function patienceOf({connectMs = DEFAULT_CONNECT_MS, signal}: ProxyOptions, about: string): Patience {
  return new Patience({timeoutMs: connectMs, signal, about})
}

function withoutUndefined(kwargs: Readonly<Record<string, Value>>): Readonly<Record<string, Value>> {
  return Object.fromEntries(Object.entries(kwargs).filter(([, value]) => value !== undefined))
}
