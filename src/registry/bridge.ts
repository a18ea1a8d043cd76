/**
 * How each of the two worlds shows the services of the other, where the bridge is on. Both views are made of what is there already and are kept
 * nowhere:
 *
 *     ZeroMQ name "Zürich camera"           ->  z-rich-camera.zmq.loop.link in AHA, urlinfo.scheme "zmq"
 *     00.axon.loop.link in AHA, online      ->  id "aha:00.axon.loop.link" over ZeroMQ, type "axon"
 *
 * A ZeroMQ client says itself who it is. So its name is one label in a zone of its own, `zmq.NETWORK`, and no name of AHA can be had by it; and
 * ids that begin with `aha:` cannot be registered.
 */
import {type AhaEntry, type AhaInfo, asOffline} from './aha-entry.ts'
import type {AhaName} from './aha-name.ts'
import type {Catalog} from './catalog.ts'
import type {Group} from './group.ts'
import type {Instance} from './instance.ts'
import {readStoredService, type ServiceInfo} from './service.ts'

/** What the ids of services of AHA begin with over ZeroMQ. */
const AHA_ID = 'aha:'
const ZONE = 'zmq'
/** As in certificates: what has a longer name is not shown. */
const MAX_FULL = 64
const MAX_LABEL = 63
/** Stands before the labels that are no type and no tag: those have no control characters. */
const PLACE = '\u0001'
/** The scheme of the URLs of ZeroMQ services, which no Telepath client takes for its own. */
const ZMQ_SCHEME = 'zmq'

/** Gives the id that a service of AHA has over ZeroMQ. */
export function zeromqIdOf(full: string): string {
  return `${AHA_ID}${full}`
}

/** Tells whether an id is that of a service of AHA. */
export function isAhaId(id: string): boolean {
  return id.startsWith(AHA_ID)
}

/**
 * Gives the label that a ZeroMQ name has in AHA: lower case, and `-` for all but letters from a to z and digits. Undefined for a name without any
 * of these, and for one that is longer than a label may be.
 */
export function labelOfName(name: string): string | undefined {
  if (name.length > MAX_LABEL) return undefined
  const label = name.toLowerCase().replace(/[^a-z0-9]/g, '-')
  return label.length > MAX_LABEL || !/[a-z0-9]/.test(label) ? undefined : label
}

/** Gives the label under which the catalog keeps an instance for `ZeromqView`: to be handed to the catalog that is shown. */
export function placeLabel(name: string): string | undefined {
  const label = labelOfName(name)
  return label === undefined ? undefined : `${PLACE}${label}`
}

/**
 * The instances of ZeroMQ as AHA shows them: one entry for each label, which is that of the oldest instance that may be discovered. Where none
 * may be, the entry is offline.
 *
 * Computed when it is asked for, from groups that the catalog keeps; what is remembered is one entry for each group, and goes with it.
 */
export class ZeromqView {
  readonly #catalog: Catalog
  readonly #network: string
  /** Names that services of AHA have been provisioned with. */
  readonly #taken: ReadonlySet<string>
  readonly #known = new WeakMap<Group, {readonly version: number; readonly entry: AhaEntry}>()

  /** The catalog must have been made with `placeLabel`. The full names in `taken` are never shown. */
  constructor(catalog: Catalog, network: string, taken: ReadonlySet<string> = new Set()) {
    this.#catalog = catalog
    this.#network = network
    this.#taken = taken
  }

  /** Tells whether a full name of AHA is kept for services of ZeroMQ, whether there is one or not. */
  owns(full: string): boolean {
    return full.endsWith(`.${ZONE}.${this.#network}`) && !this.#taken.has(full)
  }

  /** Gives the service of this full name. */
  get(full: string): AhaEntry | undefined {
    if (!this.owns(full)) return undefined
    const label = full.slice(0, -ZONE.length - this.#network.length - 2)
    const group = this.#catalog.labelled(`${PLACE}${label}`)
    return group && this.#entryOf(group, label)
  }

  /** Gives all, in no particular order. */
  list(): readonly AhaEntry[] {
    const labels = this.#catalog.labelsFrom(PLACE).map((label) => label.slice(PLACE.length))
    return labels.flatMap((label) => this.get(this.#placeOf(label).full) ?? [])
  }

  #placeOf(label: string): AhaName {
    const name = `${label}.${ZONE}`
    return {full: `${name}.${this.#network}`, name, network: this.#network}
  }

  #entryOf(group: Group, label: string): AhaEntry | undefined {
    const place = this.#placeOf(label)
    if (place.full.length > MAX_FULL) return undefined
    const known = this.#known.get(group)
    if (known?.version === group.version) return known.entry
    const instance = group.first()
    if (instance === undefined) return undefined
    const entry = entryOfInstance(place, instance)
    this.#known.set(group, {version: group.version, entry})
    return entry
  }
}

function entryOfInstance(place: AhaName, instance: Instance): AhaEntry {
  const {id, name, host, port, type, labels} = readStoredService(instance.storedText())
  const urlinfo = {scheme: ZMQ_SCHEME, host, port, path: ''}
  // A token of its own, as the session of a service has one.
  const online = instance.seq.toString(16).padStart(32, '0')
  const zmq = {id, name, type: type ?? null, tags: labels.filter((label) => label !== type)}
  const entry = {...place, info: {urlinfo, ready: true, online, zmq}}
  return instance.isDiscoverable ? entry : asOffline(entry)
}

/**
 * Gives a service of AHA in the form in which a ZeroMQ client would register it. Only what is needed to reach it: the plain ports tell anybody.
 * Undefined where it says no host or no port.
 */
export function infoOfEntry({full, name, network, info}: AhaEntry): ServiceInfo | undefined {
  const {urlinfo, leader} = info
  const {scheme, host, port, hostname} = urlinfo
  if (typeof host !== 'string' || host === '' || typeof port !== 'number') return undefined
  const type = typeof leader === 'string' && leader !== '' ? leader : name
  const protocol = textIn(scheme)
  const aha = {name, network, leader: textIn(leader), scheme: protocol, hostname: textIn(hostname)}
  const value = {
    id: zeromqIdOf(full),
    name: full,
    host,
    port,
    type,
    tags: [type, 'aha'],
    metadata: {type, aha},
    ...(protocol === null ? {} : {protocol}),
  }
  return {value, text: JSON.stringify(value), ttl: NO_LEASE_S}
}

/** The longest lease that there is: these have none, and clients may reckon with what they read. */
const NO_LEASE_S = 10 * 366 * 86_400

function textIn(value: AhaInfo[string] | undefined): string | null {
  return typeof value === 'string' ? value : null
}
