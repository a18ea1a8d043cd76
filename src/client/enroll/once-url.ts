import {RegistryError} from '../../base/errors.ts'
import {addressText, parseUrl, placeOf, type TelepathUrl} from '../../wire/telepath/url.ts'

/** A one-time URL: `ssl://HOST:PORT/IDEN?certhash=HASH`, or `tcp://HOST:PORT/IDEN`. Who has it can redeem it. */
export interface OnceUrl {
  readonly url: TelepathUrl
  /** 32 hex digits. A secret until it is used. */
  readonly iden: string
  /** What may be shown of it: scheme, host and port. */
  readonly shown: string
  /** Of the AHA, as the URL names it. */
  readonly host: string
}

const PROVISION_PORT = 27_272

/**
 * Reads a one-time URL. No error shows it.
 *
 * @throws RegistryError `REG_USAGE` (`BadUrl`) when it is none
 */
export function parseOnceUrl(text: string): OnceUrl {
  const given = readOrUndefined(text)
  const iden = given?.path.replace(/^\//, '') ?? ''
  const isOne = given !== undefined && ['ssl', 'tcp'].includes(given.scheme) && /^[0-9a-f]{32}$/.test(iden)
  if (!isOne) throw notOne()
  const {user: _user, passwd: _passwd, ...parts} = given
  const url = {...parts, port: given.port ?? PROVISION_PORT}
  placeOf(url) // for its errors: no host
  return {url, iden, shown: addressText(url), host: url.host}
}

function readOrUndefined(text: string): TelepathUrl | undefined {
  try {
    return parseUrl(text)
  } catch {
    return undefined // what is wrong with it could show it
  }
}

function notOne(): RegistryError {
  return new RegistryError('REG_USAGE', 'this is not a one-time URL: ssl://HOST:PORT/32-HEX-DIGITS?certhash=HASH', {
    telepath: 'BadUrl',
    hints: ['put it in single quotes: a shell takes a ? for something else', 'registry provision user NAME'],
  })
}
