import {type AhaEntry, onlineOf} from '../registry/aha-entry.ts'
import {infoOfEntry, ZeromqView, zeromqIdOf} from '../registry/bridge.ts'
import type {Catalog} from '../registry/catalog.ts'
import type {AhaServices} from './aha-services.ts'
import type {Guests} from './guests.ts'

/** Shows the instances of ZeroMQ in AHA, from now on. The full names in `taken` have been given to services of AHA. */
export function showInAha(catalog: Catalog, services: AhaServices, taken: ReadonlySet<string>): void {
  services.showAlso(new ZeromqView(catalog, services.network, taken))
}

/**
 * Shows the services of AHA that are online to ZeroMQ clients. To be called before the listeners of AHA open, so that none is missed. What it
 * knows is bounded by the services of AHA.
 */
export function showInZeromq(services: AhaServices, guests: Guests): void {
  /** What is shown, by full name. */
  const shown = new Map<string, string>()
  services.onChanged((full) => {
    const entry = services.get(full)
    const info = entry && onlineOf(entry) !== undefined ? infoOfEntry(entry) : undefined
    const id = zeromqIdOf(full)
    if (entry === undefined || info === undefined) {
      if (shown.delete(full)) guests.end(id)
      return
    }
    const isReady = entry.info['ready'] === true
    const looks = looksOf(entry, info.text)
    if (shown.get(full) === looks) guests.setReady(id, isReady)
    else if (guests.show(info, isReady)) shown.set(full, looks)
    else if (shown.delete(full)) guests.end(id)
  })
}

/** A service that registers again is a new one to those who listen. */
function looksOf(entry: AhaEntry, text: string): string {
  return `${onlineOf(entry)} ${text}`
}
