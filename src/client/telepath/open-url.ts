import {RegistryError} from '../../base/errors.ts'
import type {ClientTlsCache, TlsTarget} from '../../pki/client-tls.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import {openProxy} from '../../wire/telepath/proxy.ts'
import {addressText, DEFAULT_PORT, type Place, placeOf, type TelepathUrl} from '../../wire/telepath/url.ts'
import {dial, explainTls} from './dial.ts'

/** How a session is opened, and what its calls may take. */
export interface OpenOptions {
  /** Longest time until the session is there, and for each further link of it; 10 000 when absent, 0 is no limit. */
  readonly connectMs?: number | undefined
  /** Limit of a call that names none, and of a stream from one item to the next; 60 000 when absent, 0 is no limit. */
  readonly timeoutMs?: number | undefined
  /** Links that are opened ahead of calls, 4 when absent, as the peers' clients do; 0 for who makes one call at a time. */
  readonly spareLinks?: number | undefined
  /** Largest message that is taken; 64 MiB when absent. */
  readonly maxMessageBytes?: number | undefined
  /** Gives values such that the same can be sent again: an integral float is a `Float`, and a map may be a Map. */
  readonly isExact?: boolean | undefined
  /** Gives up while the session is opened; does nothing afterwards. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Opens the object that a URL names which is not `aha://`.
 *
 * @throws RegistryError `REG_USAGE` (`BadUrl`), `REG_CERT_MISSING`, `REG_CERT_INVALID`, `REG_UNREACHABLE`, `REG_TIMED_OUT`,
 * `REG_LINK_CLOSED`, `REG_BAD_ANSWER`, or the refusal of the service
 */
export async function openUrl(url: TelepathUrl, tls: ClientTlsCache, options: OpenOptions): Promise<TelepathProxy> {
  const place = placeOf(url)
  const peer = addressText(place.kind === 'unix' ? url : {...url, port: url.port ?? DEFAULT_PORT})
  const target = place.kind === 'tls' ? targetOf(url, place) : undefined
  const opening = openProxy({
    ...options,
    dial: async (signal) => dial(place, target && (await tls.for(target)), peer, signal),
    explain: explainTls,
    peer,
    name: place.share,
    login: url.user === undefined ? undefined : {user: url.user, passwd: url.passwd ?? null},
  })
  return await opening.catch((error) => {
    throw target !== undefined && target.certname === undefined ? withoutCertificate(error) : error
  })
}

/** A listener that asks for certificates may only close on who has none: with TLS 1.3 the connection is there by then. */
function withoutCertificate(error: unknown): unknown {
  if (!(error instanceof RegistryError) || error.code !== 'REG_LINK_CLOSED') return error
  const hints = ['name a user who has a certificate: ssl://USER@HOST, or ?certname=USER@NETWORK', 'registry cert list']
  return new RegistryError(error.code, error.message, {info: error.info, telepath: error.telepath, hints, cause: error})
}

/** Whom to expect, and as whom to come: a user without a password comes with a certificate. */
function targetOf({user, passwd, params}: TelepathUrl, {host}: Place & {kind: 'tls'}): TlsTarget {
  const hostname = params.get('hostname') ?? host
  const ofUser = user !== undefined && passwd === undefined ? `${user}@${hostname}` : undefined
  return {hostname, certname: params.get('certname') ?? ofUser, certhash: params.get('certhash') ?? undefined}
}
