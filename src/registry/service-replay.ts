import {decodeChange} from './change.ts'
import {maintainedText} from './maintained.ts'
import {readStoredService} from './service.ts'

/** The services that the entries of the log leave, read in order from the first one ever: what the registry has to serve. */
export class ServiceReplay {
  readonly #texts = new Map<number, string>()

  /** By their number; the service object as it is stored. */
  get texts(): ReadonlyMap<number, string> {
    return this.#texts
  }

  /** Takes a change of a service. Throws a `TypeError` or `SyntaxError` when it cannot be read. */
  apply(entry: string): void {
    const change = decodeChange(entry)
    const before = this.#texts.get(change.seq)
    switch (change.kind) {
      case 'register': {
        const kept = before === undefined ? undefined : readStoredService(before).maintenance
        const {text} = change.service
        this.#texts.set(change.seq, kept === undefined ? text : maintainedText(text, kept))
        return
      }
      case 'maintenance':
        if (before !== undefined) this.#texts.set(change.seq, maintainedText(before, change.maintenance))
        return
      case 'deregister':
      case 'expire':
        this.#texts.delete(change.seq)
    }
  }
}
