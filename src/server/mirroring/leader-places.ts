import type {LeadLedger} from './lead-ledger.ts'

const MAX_URL = 1024
const MAX_TOLD = 16

/** Where a mirror looks for the leader: where it was told to, where the log says that the leader is, the other members, and the option `mirror`. */
export class LeaderPlaces {
  readonly #ledger: LeadLedger
  readonly #mirror: readonly string[]
  /** Told by one that does not lead any more. */
  #told: readonly string[] = []
  #toldName: string | undefined
  #reached: string | undefined
  #turn = 0

  constructor(ledger: LeadLedger, mirror: readonly string[]) {
    this.#ledger = ledger
    this.#mirror = mirror
  }

  /** Name of the leader, as far as it is known. */
  get leaderName(): string | undefined {
    return this.#toldName ?? this.#ledger.visible.lead?.name
  }

  /** Gives the URL to try next; undefined when there is none. */
  next(): string | undefined {
    const {lead} = this.#ledger.visible
    const others = this.#ledger.others.filter(({member}) => member !== lead?.member)
    const all = new Set([
      ...this.#told,
      ...(lead === undefined || lead.member === this.#ledger.member ? [] : lead.urls),
      // Those of the option lead to the first leader, and have what a URL of the log must not have: a user, a password.
      ...this.#mirror,
      ...(this.#reached === undefined ? [] : [this.#reached]),
      ...others.flatMap(({urls}) => urls),
    ])
    const urls = [...all]
    return urls.length === 0 ? undefined : urls[this.#turn++ % urls.length]
  }

  /** A leader was found there: the next search begins anew. */
  noteReached(url: string): void {
    this.#reached = url
    this.#told = []
    this.#toldName = undefined
    this.#turn = 0
  }

  /** Takes what one says that does not lead; tells whether it named somebody who was not asked yet. */
  noteLead({member, name, urls, epoch}: Readonly<Record<string, unknown>>): boolean {
    const {lead} = this.#ledger.visible
    // It has not heard yet: when the lead moves, the one that is to have it may be asked before it has it.
    const isOld = typeof epoch === 'number' && lead !== undefined && epoch < lead.epoch
    if (!Array.isArray(urls) || member === this.#ledger.member || isOld) return false
    const told = urls.filter((url): url is string => typeof url === 'string' && url.length <= MAX_URL)
    if (told.length === 0 || JSON.stringify(told) === JSON.stringify(this.#told)) return false
    this.#told = told.slice(0, MAX_TOLD)
    this.#toldName = typeof name === 'string' ? name : undefined
    this.#turn = 0
    return true
  }
}
