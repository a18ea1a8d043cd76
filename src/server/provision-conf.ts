/**
 * What a service is told when it is provisioned: the values that its cell.yaml gets, and how they are made of what was asked for. Values that were
 * given win, except for the network and the leader to follow.
 *
 * @see spec/aha.md, section 3.3
 */
import {RegistryError} from '../base/errors.ts'
import {isServiceName, isUserName, MAX_FULL_NAME} from '../registry/ticket.ts'
import {Float, RawText, Timestamp, type Value} from '../wire/msgpack/value.ts'
import {DEFAULT_PORT} from '../wire/telepath/url.ts'

export interface ProvisionSettings {
  /** `aha:network` */
  readonly network: string
  /** `aha:admin` */
  readonly admin: string | undefined
  /** As `getAhaUrls` answers. */
  readonly urls: (user: string) => readonly string[]
}

/** A service as it will be. */
export interface PlannedService {
  /** `aha:name` */
  readonly name: string
  /** `aha:user`: who it is at this and at other services. */
  readonly user: string
  /** `aha:leader`: the alias that it claims while it leads. */
  readonly leader: string | null
  /** The answer to `getProvInfo`, but for its `iden`. */
  readonly info: Readonly<Record<string, unknown>>
  /** Life of its URL; undefined where nothing is said. */
  readonly life: Life | undefined
}

/** Another member of this cell as it will be. */
export interface PlannedClone {
  /** `dns:name` */
  readonly host: string
  /** What it is told. */
  readonly info: Readonly<Record<string, unknown>>
  readonly life: Life | undefined
}

/** What is asked for another member of this cell. */
export interface CloneWish {
  readonly host: string
  readonly port: number
  readonly conf: Value
  /** Where this member is reached, as the others know it. */
  readonly leader: readonly string[]
  /** Life of the URL: milliseconds, `never`, or nil. */
  readonly expires: Value
}

/** How long a URL can be used: milliseconds, or for ever. */
export type Life = number | 'never'

/** Longest form of it in JSON. */
const MAX_INFO = 64 * 1024
const MAX_LEVELS = 32
const MAX_PORT = 65_535
const MIN_LIFE_MS = 1000
const MAX_LIFE_MS = 3650 * 86_400_000

/**
 * Plans a service.
 *
 * @throws RegistryError `REG_BAD_REQUEST` (`BadArg`) for a name, port or value that cannot be
 */
export function planService(name: string, provinfo: Value, settings: ProvisionSettings): PlannedService {
  const {network, admin, urls} = settings
  checkFullName('Hostname', 'hostname', name, `${name}.${network}`)
  if (!isServiceName(name)) throw badName('service', name)
  const {expires, ...given} = objectOf('provinfo', provinfo)
  const conf = objectOf('conf', given['conf'])
  const user = textOf(conf, 'aha:user') ?? 'root'
  const ownName = textOf(conf, 'aha:name') ?? name
  const leader = 'aha:leader' in conf ? (textOf(conf, 'aha:leader') ?? null) : aliasOf(name)
  if (!isUserName(user)) throw badName('user', user)
  if (!isServiceName(ownName)) throw badName('service', ownName)
  checkFullName('Hostname', 'hostname', ownName, `${ownName}.${network}`)
  checkFullName('Username', 'username', user, `${user}@${network}`)
  if (leader !== null && !isServiceName(leader)) throw badName('service', leader)
  const port = portOf(given, 'dmon:port') ?? 0
  const httpsPort = portOf(given, 'https:port')
  const defaults = {
    ...(admin === undefined ? {} : {'aha:admin': admin}),
    'aha:user': user,
    'aha:network': network,
    'aha:name': ownName,
    'dmon:listen': `ssl://0.0.0.0:${port}?hostname=${name}.${network}&ca=${network}`,
    ...('https:port' in given ? {'https:port': httpsPort ?? null} : {}),
    ...(leader === null ? {} : {'aha:leader': leader}),
    'aha:registry': [...urls(user)],
  }
  const mirror = mirrorOf(given, user)
  const forced = {'aha:user': user, 'aha:network': network, 'aha:name': ownName, ...mirror}
  const info = {...given, conf: {...conf, ...defaults, ...conf, ...forced}}
  checkSize(info, 'a service')
  return {name: ownName, user, leader, info, life: lifeOf(expires)}
}

/**
 * Plans another member of this cell. What it is told of the leader wins over what was given.
 *
 * @throws RegistryError `REG_BAD_REQUEST` (`BadArg`) for a name, port or value that cannot be
 */
export function planClone(
  {host, port, conf, leader, expires}: CloneWish,
  {network, urls}: ProvisionSettings,
): PlannedClone {
  checkFullName('Hostname', 'hostname', host, host)
  if (!isServiceName(host)) throw badArg(`${JSON.stringify(host.slice(0, 80))} cannot be the name of a host`)
  const given = objectOf('conf', conf)
  const listen = `ssl://0.0.0.0:${port}?hostname=${host}&ca=${network}`
  const mirror = [...new Set([...leader, ...urls('root').slice(0, 1)])]
  const forced = {mirror: mirror.length === 1 ? mirror[0] : mirror, 'dns:name': host, 'aha:network': network}
  const info = {host, port, conf: {...(port === DEFAULT_PORT ? {} : {'dmon:listen': listen}), ...given, ...forced}}
  checkSize(info, 'a clone')
  return {host, info, life: lifeOf(expires)}
}

/**
 * Gives the life that the URL for a user is to have: `expires` in what is said of him. Nothing else of it is regarded, as at the peer.
 *
 * @throws RegistryError `REG_BAD_REQUEST`
 */
export function lifeForUser(userinfo: Value): Life | undefined {
  const isObject = typeof userinfo === 'object' && userinfo !== null && 'expires' in userinfo
  return isObject ? lifeOf(userinfo['expires']) : undefined
}

/**
 * Checks the name of a user who is to be enrolled.
 *
 * @throws RegistryError `REG_BAD_REQUEST`
 */
export function checkEnrolled(name: string, network: string): void {
  checkFullName('Username', 'username', name, `${name}@${network}`)
  if (!isUserName(name)) throw badName('user', name)
}

/** @throws RegistryError `REG_BAD_REQUEST` for one that is empty, or does not fit into a certificate */
function checkFullName(noun: string, label: string, name: string, fullName: string): void {
  if (name === '') throw badArg('Empty name values are not allowed for provisioning.')
  if (fullName.length <= MAX_FULL_NAME) return
  const shown = label === 'hostname' ? `'${fullName.slice(0, 200)}'` : fullName.slice(0, 200)
  const text = `${noun} value must not exceed ${MAX_FULL_NAME} characters in length. ${label}=${shown}, len=${fullName.length}`
  throw badArg(text)
}

function checkSize(info: Readonly<Record<string, unknown>>, whom: string): void {
  if (JSON.stringify(info).length <= MAX_INFO) return
  throw badArg(`the values for ${whom} must not take more than ${MAX_INFO} characters`)
}

/** The alias of a service whose name has one: of `00.axon`, `axon`. */
function aliasOf(name: string): string | null {
  return name.includes('.') ? name.slice(name.lastIndexOf('.') + 1) : null
}

function mirrorOf(given: Readonly<Record<string, unknown>>, user: string): Readonly<Record<string, string>> {
  const mirror = textOf(given, 'mirror')
  if (mirror === undefined) return {}
  if (!isServiceName(mirror)) throw badName('service', mirror)
  return {mirror: `aha://${user}@${mirror}...`}
}

function textOf(members: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = members[name]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  throw badArg(`${name} must be a text`)
}

function lifeOf(value: unknown): Life | undefined {
  if (value === undefined || value === null || value === 'never') return value ?? undefined
  if (typeof value === 'number' && value >= MIN_LIFE_MS && value <= MAX_LIFE_MS) return value
  throw badArg(`expires must be from ${MIN_LIFE_MS} to ${MAX_LIFE_MS} milliseconds, or never`)
}

function portOf(members: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = members[name]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_PORT) return value
  throw badArg(`${name} must be a port from 0 to ${MAX_PORT}`)
}

function objectOf(what: string, value: unknown): Readonly<Record<string, unknown>> {
  if (value === undefined || value === null) return {}
  const plain = plainOf(what, value, 0)
  if (typeof plain === 'object' && plain !== null && !Array.isArray(plain)) return plain as Record<string, unknown>
  throw badArg(`${what} must be an object`)
}

/** Gives a value as JSON can hold it: cell.yaml has nothing else. */
function plainOf(what: string, value: unknown, level: number): unknown {
  if (level > MAX_LEVELS) throw badArg(`${what} must not be nested deeper than ${MAX_LEVELS} levels`)
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (value instanceof Float && Number.isFinite(value.value)) return value.value
  if (Array.isArray(value)) return value.map((item) => plainOf(what, item, level + 1))
  if (typeof value !== 'object' || isSpecial(value)) throw badArg(`${what} must hold what YAML can hold, nothing else`)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plainOf(what, item, level + 1)]))
}

function isSpecial(value: object): boolean {
  return [Uint8Array, Map, Timestamp, RawText, Float].some((type) => value instanceof type)
}

function badName(kind: 'service' | 'user', name: string): RegistryError {
  const form =
    kind === 'service'
      ? 'labels of letters, digits, - and _, with dots between them'
      : 'letters, digits, and one of . _ + - between them'
  return badArg(`${JSON.stringify(name.slice(0, 80))} cannot be the name of a ${kind}: it has to be ${form}`)
}

function badArg(text: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', text)
}
