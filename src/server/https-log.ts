import type {Clock} from '../base/clock.ts'
import type {Log} from '../base/log.ts'
import type {HttpsObserver, HttpsRequest} from '../wire/https/messages.ts'
import type {Admitted} from './https-api.ts'

/** Refused connections are logged at most this often, ms: a flood of them must not become one of lines. */
const REFUSED_EVERY_MS = 10_000
const MAX_AGENT = 256

/**
 * Writes a line per answer and one now and then for connections that were not taken. Of a request there are method, path and user agent:
 * no query, no header and no body, which may hold secrets.
 */
export function httpsObserver(log: Log, clock: Pick<Clock, 'monotonicMs'>): HttpsObserver<Admitted> {
  let refused = 0
  let quietUntilMs = Number.NEGATIVE_INFINITY
  return {
    onAnswered(request, status, elapsedMs, login) {
      const facts = {...factsOf(request), http_status: String(status), elapsedMs: Math.round(elapsedMs * 100) / 100}
      const lines = login === undefined ? log : log.with({user: login.userIden, username: login.username})
      if (status < 400) lines.info('https.answered', facts)
      else if (status < 500) lines.warning('https.answered', facts)
      else lines.error('https.answered', facts)
    },
    onConnectionRefused(remoteip, why) {
      refused += 1
      if (clock.monotonicMs() < quietUntilMs) return
      log.warning('https.connection-refused', {remoteip, why, count: refused})
      quietUntilMs = clock.monotonicMs() + REFUSED_EVERY_MS
      refused = 0
    },
  }
}

function factsOf(request: HttpsRequest): Readonly<Record<string, unknown>> {
  const agent = request.header('user-agent')?.slice(0, MAX_AGENT)
  const headers = agent === undefined ? {} : {headers: {'user-agent': agent}}
  return {method: request.method, uri: request.path, remoteip: request.remoteAddress, ...headers}
}
