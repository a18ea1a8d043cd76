import type {Log} from '../base/log.ts'
import {type AhaEntry, onlineOf} from '../registry/aha-entry.ts'
import type {AhaLedger} from './aha-ledger.ts'

/** Actor of what AHA does by itself. */
const AHA_ACTOR = 'aha'
/** Services that are taken offline at a time: the log takes more, and others have changes too. */
const CHUNK = 1000

/** A service that was online with this token. */
export interface Gone {
  /** Full name. */
  readonly full: string
  readonly online: string
}

/** Has the leader write that services are offline, when this is a mirror. */
export interface OfflineElsewhere {
  /** This is a mirror now. */
  readonly isNeeded: boolean
  takeOffline(gone: readonly Gone[]): Promise<void>
}

/**
 * Writes that services are offline, or that another one has their name now. What cannot be written, because the disk takes no changes, is written as
 * soon as it does. Only the entry that still has the token is altered.
 */
export class OfflineWriter {
  readonly #ledger: AhaLedger
  readonly #log: Log
  readonly #heirOf: (full: string) => AhaEntry | undefined
  /** Tokens that could not be taken away, by full name. */
  readonly #unsaved = new Map<string, string>()
  #elsewhere: OfflineElsewhere | undefined

  /** `heirOf` gives the entry of who has a name after the one that is gone; undefined when nobody has. */
  constructor(ledger: AhaLedger, log: Log, heirOf: (full: string) => AhaEntry | undefined) {
    this.#ledger = ledger
    this.#log = log
    this.#heirOf = heirOf
    ledger.whenOpen(() => void this.#again())
  }

  /** Has the leader write it, as long as this is a mirror. */
  passOn(elsewhere: OfflineElsewhere): void {
    this.#elsewhere = elsewhere
  }

  /** Never rejects: what fails is tried again. Begins with no more of them when `isOver` says so. */
  async write(gone: readonly Gone[], isOver = () => false): Promise<void> {
    for (let at = 0; at < gone.length && !isOver(); at += CHUNK) {
      const some = gone.slice(at, at + CHUNK)
      if (this.#elsewhere?.isNeeded) await this.#pass(some, this.#elsewhere)
      else await Promise.all(some.map((one) => this.#write(one)))
    }
  }

  /** What cannot be passed on, the leader finds out by itself: this member does not tell of the tokens any more. */
  async #pass(gone: readonly Gone[], elsewhere: OfflineElsewhere): Promise<void> {
    try {
      await elsewhere.takeOffline(gone)
    } catch (error) {
      this.#log.warning('aha.service.offline-not-passed-on', {services: gone.length, error})
    }
  }

  async #write({full, online}: Gone): Promise<void> {
    if (!this.#isOf(full, online)) return
    const heir = this.#heirOf(full)
    try {
      // An entry of the log says all of what it leaves: who has the name now is known to nobody who reads it later.
      const change = heir === undefined ? ({kind: 'aha:svc:down', full, online} as const) : addition(heir)
      await this.#ledger.change(change, AHA_ACTOR)
      if (heir === undefined) return
      this.#log.info('aha.service.fell-back', {service: full, to: heir.info.urlinfo['hostname'] ?? null})
    } catch (error) {
      // It is shown offline already.
      this.#unsaved.set(full, online)
      this.#log.warning('aha.service.offline-not-saved', {service: full, error})
    }
  }

  async #again(): Promise<void> {
    const gone = Array.from(this.#unsaved, ([full, online]) => ({full, online}))
    this.#unsaved.clear()
    await this.write(gone)
  }

  /** Tells whether the service has the token, as it will be when all that is under way is durable. */
  #isOf(full: string, online: string): boolean {
    const entry = this.#ledger.pending.get(full)
    return entry !== undefined && onlineOf(entry) === online
  }
}

function addition(entry: AhaEntry) {
  return {kind: 'aha:svc:add', entry} as const
}
