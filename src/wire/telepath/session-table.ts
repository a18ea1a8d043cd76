import {RegistryError} from '../../base/errors.ts'
import {newGuid} from '../../base/ids.ts'
import type {Log} from '../../base/log.ts'
import type {Value} from '../msgpack/value.ts'
import type {DaemonLimits} from './limits.ts'
import {type Body, readSyn, refusalMessage, type Syn} from './messages.ts'
import type {PeerGroup} from './peer-table.ts'
import {Session, type SessionInfo, type SessionLink} from './session.ts'
import type {Greet, Opened} from './share.ts'
import type {ShareText} from './share-text.ts'
import type {SilentLinks} from './silent-links.ts'

export interface SessionTableParts {
  readonly greet: Greet
  readonly limits: DaemonLimits
  readonly log: Log
  readonly text: ShareText
  readonly silent: SilentLinks
  /** Notes that a limit is reached, and gives the error for it. */
  readonly reached: (limit: keyof DaemonLimits, address: string) => RegistryError
  readonly nowMs: () => number
}

/** The sessions of a daemon: how they begin, which links may use them, and all that ends with them. */
export class SessionTable {
  readonly #parts: SessionTableParts
  readonly #sessions = new Map<string, Session>()

  constructor(parts: SessionTableParts) {
    this.#parts = parts
  }

  /** In order of opening. */
  list(): SessionInfo[] {
    return Array.from(this.#sessions.values(), (session) => session.info)
  }

  /** Gives a session, unless it was opened by another peer. */
  find(id: Value, group: PeerGroup): Session | undefined {
    const session = typeof id === 'string' ? this.#sessions.get(id) : undefined
    return session?.group === group ? session : undefined
  }

  /** A call for the session came on a link on which none came before. @throws RegistryError `REG_BUSY` */
  join(session: Session, link: SessionLink): void {
    const {limits, reached} = this.#parts
    if (session.links.size >= limits.linksPerSession) throw reached('linksPerSession', link.peer.address)
    session.links.add(link)
    link.used.push(session)
    this.#settle(link)
  }

  /** Answers a greeting; holds the link while it takes. */
  onGreeting(link: SessionLink, body: Body | undefined): void {
    const id = newGuid()
    let opened: Opened | Promise<Opened>
    try {
      const syn = readSyn(body)
      this.#reserve(link)
      opened = this.#greet(syn, link, id)
    } catch (error) {
      link.send(refusalMessage(error))
      return
    }
    if (opened instanceof Promise) this.#await(opened, link, id)
    else this.#open(id, link, opened)
  }

  /** Ends a session and cuts all its links. Does nothing when there is none. */
  close(id: string): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    for (const link of session.links) link.destroy()
    session.control.destroy()
    this.#end(session)
  }

  closeAllOf(userIden: string): void {
    for (const session of this.#sessions.values()) if (session.user?.iden === userIden) this.close(session.id)
  }

  onLinkClosed(link: SessionLink): void {
    for (const session of link.used) session.links.delete(link)
    for (const session of [...link.opened]) this.#end(session)
  }

  #await(opening: Promise<Opened>, link: SessionLink, id: string): void {
    link.begin()
    opening.then(
      (opened) => {
        this.#open(id, link, opened)
        link.done()
      },
      (error: unknown) => {
        this.#refused(link, error)
        link.send(refusalMessage(error))
        link.done()
      },
    )
  }

  /** Counts a session that is about to be opened. */
  #reserve(link: SessionLink): void {
    const {limits, reached} = this.#parts
    const {address, opened} = link
    if (opened.length >= limits.sessionsPerLink) throw reached('sessionsPerLink', address.address)
    if (address.sessions >= limits.sessionsPerAddress) throw reached('sessionsPerAddress', address.address)
    address.sessions++
  }

  #greet({name, path, auth}: Syn, link: SessionLink, id: string): Opened | Promise<Opened> {
    try {
      return this.#parts.greet({name, path, auth, peer: link.peer}, id)
    } catch (error) {
      this.#refused(link, error)
      throw error
    }
  }

  #refused(link: SessionLink, error: unknown): void {
    link.address.sessions--
    if (!(error instanceof RegistryError)) this.#parts.log.error('telepath.login.failed', {error})
  }

  #open(id: string, link: SessionLink, opened: Opened): void {
    if (link.isEnded) {
      link.address.sessions--
      opened.closed?.()
      return
    }
    const session = new Session(id, link, opened)
    this.#sessions.set(id, session)
    link.opened.push(session)
    link.group.sessions++
    this.#settle(link)
    if (link.group.sessions === 1) for (const other of this.#parts.silent.spare(link.group)) this.#allow(other)
    link.send(this.#parts.text.openedMessage(id, opened))
  }

  #settle(link: SessionLink): void {
    if (link.isSettled) return
    link.isSettled = true
    this.#allow(link)
    this.#parts.silent.delete(link)
  }

  /** From now on the messages may be large. */
  #allow(link: SessionLink): void {
    link.decoder.limits = {maxBytes: this.#parts.limits.messageBytes}
  }

  #end(session: Session): void {
    if (session.isEnded) return
    this.#sessions.delete(session.id)
    const {control, group, links} = session
    control.address.sessions--
    group.sessions--
    remove(control.opened, session)
    session.end()
    for (const link of links) this.#dismiss(link, session)
    if (group.sessions === 0) this.#parts.silent.resume(group)
  }

  /** A session is over that this link was used for. The link stays for a while, as those of the peers do. */
  #dismiss(link: SessionLink, session: Session): void {
    remove(link.used, session)
    // Nobody is left to take the answer; this also ends what the call does.
    if (link.runningSession === session) link.destroy()
    if (link.isEnded || link.used.length > 0 || link.opened.length > 0) return
    link.isSettled = false
    this.#parts.silent.add(link, this.#parts.nowMs())
  }
}

function remove<T>(list: T[], item: T): void {
  const at = list.indexOf(item)
  if (at !== -1) list.splice(at, 1)
}
