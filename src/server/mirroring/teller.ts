import type {ChangeLog} from '../../nexus/change-log.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import type {ArchiverPlace} from '../archiver-messages.ts'
import {packFollowTold} from './feed-messages.ts'

/** What a mirror has to tell, besides how far it is. */
export interface ToTell {
  /** Ids of leases that were renewed since they were asked for last. */
  readonly renewed: () => readonly string[]
  /** Tokens of sessions that were opened and closed since they were asked for last; the first time, all that are open. */
  readonly sessions: () => {readonly opened: readonly string[]; readonly closed: readonly string[]}
  /** Who archives the log here. */
  readonly archivers: () => readonly ArchiverPlace[]
  /** Its changes wait. */
  readonly isFrozen: () => boolean
  close(): void
}

export interface TellerPorts {
  readonly proxy: TelepathProxy
  readonly head: () => ChangeLog['head']
  readonly member: string
}

/** Two of them are not closer together: one follows many small commits. */
const SPACING_MS = 25
/** What is renewed and who is there is told within this time. */
const LOOK_EVERY_MS = 200
/** Something is told although nothing happens. */
const SPEAK_EVERY_MS = 1000
const TIMEOUT_MS = 10_000

/** Tells the leader how far a mirror is, which leases were renewed at it, and who is connected to it. */
export class Teller {
  readonly #ports: TellerPorts
  readonly #toTell: ToTell
  #wake: (() => void) | undefined
  #isWoken = false

  constructor(ports: TellerPorts, toTell: ToTell) {
    this.#ports = ports
    this.#toTell = toTell
  }

  /** There is something new in the log. */
  wake(): void {
    this.#isWoken = true
    this.#wake?.()
  }

  /** Tells until `signal` aborts. Rejects with what a call failed with. */
  async run(signal: AbortSignal): Promise<void> {
    const {proxy, head, member} = this.#ports
    let isWhole = true
    let told = -1
    let archived = ''
    let wasFrozen = false
    let quietFor = 0
    while (!signal.aborted) {
      const {nextOffset} = head()
      const renewed = this.#toTell.renewed()
      const {opened, closed} = this.#toTell.sessions()
      const archivers = this.#toTell.archivers()
      const archivedNow = JSON.stringify(archivers)
      const isFrozen = this.#toTell.isFrozen()
      const isOther = archivedNow !== archived || isFrozen !== wasFrozen
      const isNew = nextOffset !== told || isOther || renewed.length + opened.length + closed.length > 0
      if (isNew || isWhole || quietFor >= SPEAK_EVERY_MS) {
        const isAsked = isOther || isWhole || quietFor >= SPEAK_EVERY_MS
        const lists = {renewed, opened, closed, ...(isAsked ? {archivers} : {})}
        const message = packFollowTold({member, nextOffset, ...lists, isWhole, isFrozen})
        await proxy.call('followAck', {args: [message], timeoutMs: TIMEOUT_MS, signal})
        told = nextOffset
        archived = archivedNow
        wasFrozen = isFrozen
        isWhole = false
        quietFor = 0
        await this.#rest(SPACING_MS, signal)
      }
      if (!this.#isWoken) await this.#sleep(LOOK_EVERY_MS, signal)
      this.#isWoken = false
      quietFor += LOOK_EVERY_MS
    }
  }

  #rest(ms: number, signal: AbortSignal): Promise<void> {
    return this.#pause(ms, signal, false)
  }

  #sleep(ms: number, signal: AbortSignal): Promise<void> {
    return this.#pause(ms, signal, true)
  }

  #pause(ms: number, signal: AbortSignal, canBeWoken: boolean): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(end, ms)
      signal.addEventListener('abort', end, {once: true})
      if (canBeWoken) this.#wake = end
      if (signal.aborted) end()
    })
  }
}
