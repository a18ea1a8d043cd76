/**
 * URLs of Telepath, as the peers read them:
 *
 *     scheme://[user[:passwd]@]host[:port][/path][?key=value&key]
 *
 * The first `?` ends everything before the query, the first `/` begins the path, the last `@` before it ends the user. User and password are
 * percent-decoded, nothing else is. A key of the query that is the name of a part (`?host=x`) takes its place.
 *
 * @see spec/telepath.md, section 11
 */
import {isIPv6} from 'node:net'
import {RegistryError} from '../../base/errors.ts'

/** The parts of a URL. `passwd` is a secret: `formatUrl` writes it, `sanitizeUrl` and `placeOf` don't. */
export interface TelepathUrl {
  /** In lower case: `tcp`, `ssl`, `unix`, `cell`, `aha`, or something that cannot be opened. */
  readonly scheme: string
  readonly user?: string
  readonly passwd?: string
  /** As it stands, without brackets; empty when there is none. */
  readonly host: string
  readonly port?: number
  /** With its first slash; empty when there is none. */
  readonly path: string
  /** Of the query: null for a key without `=`. */
  readonly params: ReadonlyMap<string, string | null>
}

/** Where a URL leads that needs no further lookup, and the share that is asked for. */
export type Place =
  | {readonly kind: 'unix'; readonly path: string; readonly share: string}
  | {readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly share: string}
  | {readonly kind: 'tls'; readonly host: string; readonly port: number; readonly share: string}

export const DEFAULT_PORT = 27492
const MAX_PORT = 65_535
const PORT_RULE = `the port must be from 0 to ${MAX_PORT}`
const ANY_SHARE = '*'

/**
 * Reads a URL.
 *
 * @throws RegistryError `REG_USAGE` (`BadUrl`) when it is none; the text never holds the password
 */
export function parseUrl(text: string): TelepathUrl {
  const parts = partsOrReason(text)
  if (typeof parts === 'string') throw badUrl(sanitizeUrl(text), parts)
  return parts
}

/** Writes a URL that reads as the same parts again. It holds the password. */
export function formatUrl(url: TelepathUrl): string {
  const {scheme, user, passwd, path, params} = url
  const login =
    user === undefined
      ? ''
      : `${encodeURIComponent(user)}${passwd === undefined ? '' : `:${encodeURIComponent(passwd)}`}@`
  const query = [...params].map(([key, value]) => (value === null ? key : `${key}=${value}`)).join('&')
  return `${scheme}://${login}${addressOf(url)}${path}${query === '' ? '' : `?${query}`}`
}

/** Gives a text that may be a URL with `****` in place of a password, wherever one may stand in it. */
export function sanitizeUrl(text: string): string {
  const withoutQuery = text.replace(/([?&]passwd=)[^&]+/g, '$1****')
  if (typeof partsOrReason(text) === 'string') return withoutLogin(withoutQuery)
  return withoutQuery.replace(/^([^:]+:\/\/[^:/?]*):[^/?]+@/, '$1:****@')
}

/** Gives what may be shown of a URL in any text: scheme and address, and no user, path or query. A one-time URL is a secret in its path. */
export function addressText(url: TelepathUrl): string {
  if (url.scheme === 'unix' || url.scheme === 'cell') return `${url.scheme}://${url.host}${url.path}`
  return `${url.scheme}://${addressOf(url)}`
}

/**
 * Says where to connect to.
 *
 * @throws RegistryError `REG_USAGE` (`BadUrl`, `FeatureNotSupported`) when the scheme is no such, or a part of it is missing
 */
export function placeOf(url: TelepathUrl): Place {
  switch (url.scheme) {
    case 'tcp':
    case 'ssl':
      return portPlace(url)
    case 'unix':
      if (url.host !== '') throw badUrl(addressText(url), 'unix:// is followed by an absolute path: unix:///DIR/sock')
      return socketPlace(url, url.path, '')
    case 'cell':
      // cell://DIR is a relative path: what looks like the host is its first element.
      return socketPlace(url, url.host === '' ? url.path : `${url.host}/${url.path.replace(/^\/+/, '')}`, 'sock')
    default:
      throw notOpened(url)
  }
}

/**
 * Takes what AHA says of a service into the URL that asked for it: AHA decides, but for the path and a user that was given.
 *
 * @throws RegistryError `REG_USAGE` (`BadUrl`) when the port is none
 */
export function mergeAhaInfo(url: TelepathUrl, urlinfo: Readonly<Record<string, unknown>>): TelepathUrl {
  const params = new Map(url.params)
  for (const [key, value] of Object.entries(urlinfo)) if (!isPart(key)) params.set(key, textOf(value))
  const {scheme = url.scheme, host = url.host, port = url.port, passwd = url.passwd} = urlinfo
  const user = url.user ?? urlinfo['user']
  const number = port === undefined ? undefined : portOf(String(port))
  if (number === undefined && port !== undefined) throw badUrl(addressText(url), PORT_RULE)
  return {
    scheme: String(scheme).toLowerCase(),
    host: String(host),
    path: url.path,
    params,
    ...(number === undefined ? {} : {port: number}),
    ...(user === undefined ? {} : {user: String(user)}),
    ...(passwd === undefined ? {} : {passwd: String(passwd)}),
  }
}

/** Reads a URL, or says why it is none. */
function partsOrReason(text: string): TelepathUrl | string {
  const [, scheme, rest] = /^([^:/?]+):\/\/(.*)$/s.exec(text) ?? []
  if (scheme === undefined || rest === undefined) return ':// is missing'
  const [beforeQuery, query] = cut(rest, rest.indexOf('?'))
  const [authority, path] = cut(beforeQuery, beforeQuery.indexOf('/'), 0)
  const at = authority.lastIndexOf('@')
  const login = at < 0 ? {} : loginOf(authority.slice(0, at))
  if (login === undefined)
    return 'a percent sign in a user or password stands before two hexadecimal digits; %25 is the sign itself'
  const address = hostOf(authority.slice(at + 1))
  if (address === undefined) return 'a host with more than one colon is an IPv6 address'
  const params = queryOf(query)
  const {port, ...parts}: Parts = {...login, ...address, path, ...partsOf(params)}
  for (const name of PARTS) params.delete(name)
  const url = {scheme: scheme.toLowerCase(), ...parts, params}
  if (port === undefined) return url
  return portOf(port) === undefined ? PORT_RULE : {...url, port: Number(port)}
}

/** Masks what may be a password in something that is no URL, so that nobody knows where it ends. */
function withoutLogin(text: string): string {
  const start = /^[^:/?]+:\/\//.exec(text)?.[0].length ?? 0
  return text.slice(0, start) + text.slice(start).replace(/:.+@/s, ':****@')
}

const PARTS = ['scheme', 'host', 'port', 'path', 'user', 'passwd'] as const

interface Parts {
  readonly user?: string
  readonly passwd?: string
  readonly host: string
  readonly port?: string
  readonly path: string
}

function isPart(key: string): boolean {
  return PARTS.some((part) => part === key)
}

/** Those keys of the query that are parts of the URL. A key without a value, and `scheme`, change nothing. */
function partsOf(params: ReadonlyMap<string, string | null>): Partial<Parts> {
  const given = PARTS.filter((name) => name !== 'scheme' && typeof params.get(name) === 'string')
  return Object.fromEntries(given.map((name) => [name, params.get(name)]))
}

function cut(text: string, at: number, skip = 1): [string, string] {
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + skip)]
}

/** Undefined when it is not percent-encoded as it should be. */
function loginOf(text: string): Pick<Parts, 'user' | 'passwd'> | undefined {
  const [user, passwd] = cut(text, text.indexOf(':'))
  try {
    return {user: decodeURIComponent(user), ...(text.includes(':') ? {passwd: decodeURIComponent(passwd)} : {})}
  } catch {
    return undefined
  }
}

/** Undefined when it has several colons and is no IPv6 address. One without brackets has no port. */
function hostOf(text: string): Pick<Parts, 'host' | 'port'> | undefined {
  const [, bracketed, port] = /^\[([^\]]*)\](?::(.*))?$/.exec(text) ?? []
  if (bracketed !== undefined) return {host: bracketed, ...(port === undefined ? {} : {port})}
  const colon = text.indexOf(':')
  if (colon < 0) return {host: text}
  if (text.includes(':', colon + 1)) return isIPv6(text) ? {host: text} : undefined
  return {host: text.slice(0, colon), port: text.slice(colon + 1)}
}

function queryOf(text: string): Map<string, string | null> {
  const params = new Map<string, string | null>()
  for (const pair of text === '' ? [] : text.split('&')) {
    const equals = pair.indexOf('=')
    if (equals < 0) params.set(pair, null)
    else params.set(pair.slice(0, equals), pair.slice(equals + 1))
  }
  return params
}

function portOf(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  return port <= MAX_PORT ? port : undefined
}

function textOf(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value)
}

function addressOf({host, port}: TelepathUrl): string {
  const name = host.includes(':') ? `[${host}]` : host
  return port === undefined ? name : `${name}:${port}`
}

function portPlace(url: TelepathUrl): Place {
  const {scheme, host, port = DEFAULT_PORT, path, params} = url
  if (host === '' || port === 0) throw badUrl(addressText(url), 'there is no host or port to connect to')
  return {kind: scheme === 'ssl' ? 'tls' : 'tcp', host, port, share: params.get('name') ?? path.slice(1)}
}

function socketPlace(url: TelepathUrl, path: string, file: string): Place {
  const [socket = '', share = ANY_SHARE, ...more] = path.split(':')
  if (socket === '' || more.length > 0)
    throw badUrl(addressText(url), 'it needs a path, and at most one colon before the name of a share')
  const full = file === '' ? socket : `${socket.replace(/\/+$/, '')}/${file}`
  return {kind: 'unix', path: full, share: url.params.get('name') ?? share}
}

function notOpened(url: TelepathUrl): RegistryError {
  if (url.scheme.endsWith('+consul')) {
    return new RegistryError('REG_USAGE', `${url.scheme}:// is not supported`, {telepath: 'FeatureNotSupported'})
  }
  return badUrl(addressText(url), `${url.scheme}:// is none of tcp, ssl, unix, cell and aha`)
}

/** `url` holds no password any more. */
function badUrl(url: string, why: string): RegistryError {
  return new RegistryError('REG_USAGE', `"${url}" is not a Telepath URL: ${why}`, {
    telepath: 'BadUrl',
    info: {url},
    hints: ['ssl://USER@HOST:27492', 'cell://DIR', 'aha://SERVICE...'],
  })
}
