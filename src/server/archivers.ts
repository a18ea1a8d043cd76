/**
 * Who archives the change log of this cell, and how far each of them has it on its disk: `registry backup follow` on other machines. One that is away for
 * a while is remembered, over restarts too, as a trim would cut it off: it then has to begin with a new base.
 *
 * It is forgotten when a trim cut it off, when somebody says so, or a month after it was last heard of. What is remembered is in the file
 * `archivers.state.json` of the data directory; it is about this directory only: not in the log, and in no backup.
 */
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {writeFileAtomic} from '../base/files.ts'
import type {Log} from '../base/log.ts'
import {type ArchiverAbout, type ArchiverPlace, readArchiverPlace} from './archiver-messages.ts'

/** One that archives the log, or did. Times in epoch milliseconds. */
export interface Archiver extends ArchiverPlace {
  /** When it was last heard of. */
  readonly seenMs: number
  /** When it came; null while it is away. */
  readonly attachedMs: number | null
  /** When it last got on, or had all. */
  readonly movedMs: number
}

export interface ArchiversPorts {
  /** Data directory. */
  readonly dir: string
  /** Where the change log is. */
  readonly nextOffset: () => number
  readonly clock: Pick<Clock, 'wallMs'>
  readonly log: Pick<Log, 'info' | 'warning'>
}

const FILE = 'archivers.state.json'
/** Whoever comes beyond that takes the place of the one that is away longest. */
const MOST = 64
const FORGOTTEN_AFTER_MS = 30 * 86_400_000
/** How far they are is brought to the disk this often: what is there is never more than they have. */
const SAVE_EVERY_MS = 30_000

/** By whom it is known to be there: a call of its own, or the member of the cell that it is attached to. */
type Link = {readonly sessionId: string} | {readonly member: string}

interface Kept {
  place: ArchiverPlace
  seenMs: number
  attachedMs: number | null
  movedMs: number
  link: Link | undefined
}

export class Archivers {
  readonly #ports: ArchiversPorts
  readonly #kept = new Map<string, Kept>()
  readonly #open = new Set<Link>()
  readonly #watchers = new Set<() => void>()
  #culledTo = -1
  #savedMs = 0
  #saving: Promise<void> = Promise.resolve()

  private constructor(ports: ArchiversPorts) {
    this.#ports = ports
  }

  /** What cannot be read is forgotten: it is no data of the cell. */
  static async open(ports: ArchiversPorts): Promise<Archivers> {
    const archivers = new Archivers(ports)
    try {
      const {archivers: list} = JSON.parse(await readFile(join(ports.dir, FILE), 'utf8'))
      for (const one of list) {
        const {seenMs} = one
        const place = readArchiverPlace(one, 'it')
        if (!Number.isSafeInteger(seenMs)) continue
        archivers.#kept.set(place.archiver, {place, seenMs, movedMs: seenMs, attachedMs: null, link: undefined})
      }
    } catch {
      // There is none, or none that says anything.
    }
    return archivers
  }

  /** Those that are there and those that are away, by name. */
  get known(): readonly Archiver[] {
    this.#expire()
    return [...this.#kept.values()]
      .map(({place, seenMs, attachedMs, movedMs}) => ({...place, seenMs, attachedMs, movedMs}))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Those that are attached to this member itself. */
  get here(): readonly ArchiverPlace[] {
    return [...this.#kept.values()].flatMap(({place, link}) =>
      link !== undefined && 'sessionId' in link ? [place] : [],
    )
  }

  /** Takes one in, until what this gives is disposed of. It has all below `index`. @throws RegistryError `REG_BUSY` when there are too many */
  attach(about: ArchiverAbout, sessionId: string, index: number): Disposable {
    const link = {sessionId}
    this.#assertRoom(about.archiver)
    this.#open.add(link)
    const before = this.#kept.get(about.archiver)
    const isNews = before?.link === undefined
    // It was on its disk: entries at its end are gone, or the directory is an older copy. They are sent again, and nobody else can tell.
    if (before !== undefined && before.place.index > index) {
      this.#ports.log.warning('archiver.lost-entries', {archiver: about.name, had: before.place.index, has: index})
    }
    this.#take({...about, index}, link)
    if (isNews) this.#ports.log.info('archiver.attached', {archiver: about.name, offset: index})
    return {
      [Symbol.dispose]: () => {
        this.#open.delete(link)
        this.#leave(about.archiver, link)
      },
    }
  }

  /**
   * Notes how far one is: every entry below `index` is on its disk.
   *
   * @throws RegistryError `REG_CONFLICT` when this session archives nothing
   */
  ack(archiver: string, sessionId: string, index: number): void {
    const kept = this.#kept.get(archiver)
    const link = [...this.#open].find((one) => 'sessionId' in one && one.sessionId === sessionId)
    if (kept === undefined || link === undefined) {
      throw new RegistryError('REG_CONFLICT', 'this session archives no log: call archiveLog first', {info: {archiver}})
    }
    this.#take({...kept.place, index}, link)
  }

  /** Notes who is attached to another member of the cell, as that one tells: all of them. */
  noteMember(member: string, told: readonly ArchiverPlace[]): void {
    const link = [...this.#open].find((one) => 'member' in one && one.member === member) ?? {member}
    this.#open.add(link)
    for (const place of told) {
      const kept = this.#kept.get(place.archiver)
      // One that moved there is told of here for a while, until its old link is known to be cut.
      const isElsewhere = kept?.link !== undefined && kept.link !== link && kept.place.index >= place.index
      if (!isElsewhere && this.#hasRoom(place.archiver)) this.#take(place, link)
    }
    for (const [archiver, kept] of this.#kept) {
      if (kept.link === link && !told.some((one) => one.archiver === archiver)) this.#leave(archiver, link)
    }
  }

  /** The link of a member is gone: who is attached there is not heard of. */
  noteMemberLost(member: string): void {
    const link = [...this.#open].find((one) => 'member' in one && one.member === member)
    if (link === undefined) return
    this.#open.delete(link)
    for (const archiver of this.#kept.keys()) this.#leave(archiver, link)
  }

  /** The entries up to `offset` are gone: who is away and lacks one is cut off, and is waited for no more. */
  noteCulled(offset: number): void {
    this.#culledTo = Math.max(this.#culledTo, offset)
    for (const [archiver, {place, link}] of this.#kept) {
      if (link === undefined && place.index <= offset) this.#drop(archiver, 'it was cut off by a trim')
    }
  }

  /**
   * Forgets one that is away, and gives whether it was known.
   *
   * @throws RegistryError `REG_CONFLICT` when it is there
   */
  forget(name: string): boolean {
    const found = [...this.#kept].filter(([, {place}]) => place.name === name)
    if (found.some(([, {link}]) => link !== undefined)) {
      const text = `${name} archives the log at present: only one that is gone for good can be forgotten`
      throw new RegistryError('REG_CONFLICT', text, {info: {name}, hints: ['stop it first', 'registry status']})
    }
    for (const [archiver] of found) this.#drop(archiver, 'somebody said so')
    return found.length > 0
  }

  /** Waits until one has all below `nextOffset`, over breaks of its link: true then, false when `signal` aborts before. */
  caughtUp(archiver: string, nextOffset: number, signal: AbortSignal): Promise<boolean> {
    // One that is forgotten meanwhile is waited for no more.
    const hasAll = () => (this.#kept.get(archiver)?.place.index ?? nextOffset) >= nextOffset
    return new Promise((resolve) => {
      const look = () => {
        if (!hasAll() && !signal.aborted) return
        this.#watchers.delete(look)
        signal.removeEventListener('abort', look)
        resolve(hasAll())
      }
      this.#watchers.add(look)
      signal.addEventListener('abort', look)
      look()
    })
  }

  /** Brings to the disk how far they are. */
  async close(): Promise<void> {
    if (this.#kept.size > 0) this.#save()
    await this.#saving
  }

  #take(place: ArchiverPlace, link: Link): void {
    const {clock, nextOffset} = this.#ports
    const nowMs = clock.wallMs()
    const kept = this.#kept.get(place.archiver)
    const hasMoved = kept?.link === undefined || kept.place.index !== place.index || place.index >= nextOffset()
    this.#kept.set(place.archiver, {
      ...{place, link, seenMs: nowMs},
      attachedMs: kept?.attachedMs ?? nowMs,
      movedMs: hasMoved ? nowMs : kept.movedMs,
    })
    if (kept === undefined || nowMs - this.#savedMs >= SAVE_EVERY_MS) this.#save()
    this.#changed()
  }

  #leave(archiver: string, link: Link): void {
    const kept = this.#kept.get(archiver)
    if (kept?.link !== link) return
    this.#kept.set(archiver, {...kept, link: undefined, attachedMs: null, seenMs: this.#ports.clock.wallMs()})
    this.#ports.log.info('archiver.left', {archiver: kept.place.name, offset: kept.place.index})
    this.#save()
    this.noteCulled(this.#culledTo)
    this.#changed()
  }

  #drop(archiver: string, reason: string): void {
    const kept = this.#kept.get(archiver)
    if (kept === undefined) return
    this.#kept.delete(archiver)
    this.#ports.log.info('archiver.forgotten', {archiver: kept.place.name, offset: kept.place.index, reason})
    this.#save()
    this.#changed()
  }

  #expire(): void {
    const beforeMs = this.#ports.clock.wallMs() - FORGOTTEN_AFTER_MS
    for (const [archiver, {link, seenMs}] of this.#kept) {
      if (link === undefined && seenMs < beforeMs) this.#drop(archiver, 'it was away for 30 days')
    }
  }

  #hasRoom(archiver: string): boolean {
    if (this.#kept.size < MOST || this.#kept.has(archiver)) return true
    const away = [...this.#kept.values()].filter(({link}) => link === undefined).sort((a, b) => a.seenMs - b.seenMs)
    const [oldest] = away
    if (oldest === undefined) return false
    this.#drop(oldest.place.archiver, 'others took its place')
    return true
  }

  #assertRoom(archiver: string): void {
    if (this.#hasRoom(archiver)) return
    throw new RegistryError('REG_BUSY', `${MOST} archive the log already`)
  }

  #changed(): void {
    for (const look of this.#watchers) look()
  }

  #save(): void {
    const {dir, clock, log} = this.#ports
    this.#savedMs = clock.wallMs()
    const write = async () => {
      const archivers = [...this.#kept.values()].map(({place, seenMs}) => ({...place, seenMs}))
      await writeFileAtomic(join(dir, FILE), `${JSON.stringify({archivers})}\n`)
    }
    this.#saving = this.#saving.then(write).catch((error: unknown) => {
      log.warning('archiver.state-not-saved', {error})
    })
  }
}
