import {newGuid} from '../../base/ids.ts'
import type {Decoder} from '../msgpack/decode.ts'
import type {Value} from '../msgpack/value.ts'
import type {AddressCount, PeerGroup} from './peer-table.ts'
import type {Opened, Peer, Share} from './share.ts'

/** A session as lists of sessions show it. */
export interface SessionInfo {
  readonly id: string
  readonly peer: Peer
  readonly user: {readonly iden: string; readonly name: string} | undefined
  /** What can be called: class by name; null is the name of what the session was opened for. */
  readonly items: ReadonlyMap<string | null, string>
}

/** A link as sessions see it. */
export interface SessionLink {
  readonly peer: Peer
  readonly address: AddressCount
  readonly group: PeerGroup
  readonly decoder: Decoder
  /** Sessions that were opened here and are not over. */
  readonly opened: Session[]
  /** Sessions that calls here were for and that are not over; one in practice. */
  readonly used: Session[]
  /** Whether the link may stay as long as it likes: it has opened or used a session that is not over. */
  isSettled: boolean
  /** Something runs that the client waits for. */
  readonly isBusy: boolean
  readonly isEnded: boolean
  /** The session of the call that runs. */
  readonly runningSession: Session | undefined
  send(message: Buffer): void
  /** Takes no further message until `done`. */
  begin(): void
  /** Goes on after `begin`. */
  done(): void
  /** Cuts the connection. */
  destroy(): void
}

interface DynamicShare {
  readonly share: Share
  readonly closed: (() => void) | undefined
}

/** What a client has opened on a link: the object that it asked for, and the shares that its calls have made. Ends with that link. */
export class Session {
  readonly id: string
  readonly peer: Peer
  /** Only links of the same peer may use it. */
  readonly group: PeerGroup
  /** The link that it was opened on. */
  readonly control: SessionLink
  /** All links that calls came on. */
  readonly links = new Set<SessionLink>()
  readonly #opened: Opened
  #shares: Map<string, DynamicShare> | undefined
  #isEnded = false

  constructor(id: string, control: SessionLink, opened: Opened) {
    this.id = id
    this.peer = control.peer
    this.group = control.group
    this.control = control
    this.#opened = opened
  }

  get user(): Opened['user'] {
    return this.#opened.user
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  get shareCount(): number {
    return this.#shares?.size ?? 0
  }

  get info(): SessionInfo {
    const items = new Map<string | null, string>([[null, className(this.#opened.share)]])
    if (this.#shares !== undefined) for (const [iden, {share}] of this.#shares) items.set(iden, className(share))
    return {id: this.id, peer: this.peer, user: this.#opened.user, items}
  }

  /** Gives what calls with this name go to. */
  share(name: Value): Share | undefined {
    if (name === null || name === undefined) return this.#opened.share
    return typeof name === 'string' ? this.#shares?.get(name)?.share : undefined
  }

  /** Takes a dynamic share and gives its iden. */
  addShare(share: Share, closed: (() => void) | undefined): string {
    const iden = newGuid()
    this.#shares ??= new Map()
    this.#shares.set(iden, {share, closed})
    return iden
  }

  /** Drops a dynamic share; false when there is none of this iden. */
  endShare(iden: string): boolean {
    const found = this.#shares?.get(iden)
    if (found === undefined) return false
    this.#shares?.delete(iden)
    found.closed?.()
    return true
  }

  /** To be called once. */
  end(): void {
    this.#isEnded = true
    if (this.#shares !== undefined) for (const {closed} of this.#shares.values()) closed?.()
    this.#shares = undefined
    this.#opened.closed?.()
  }
}

function className(share: Share): string {
  return share.info.classes[0] ?? 'object'
}
