import type {HttpsRequest} from '../wire/https/messages.ts'

/**
 * Tells whether a request comes from a page of another place. Browsers send cookies, Basic credentials and client certificates along with what
 * pages ask for, so nothing that alters something, and no websocket, is open to such pages. What is no browser sends neither header.
 *
 * Another port of the same host is another place: who else serves there is not known.
 */
export function isForeign(request: HttpsRequest, isBehindProxy: boolean): boolean {
  const origin = request.header('origin')
  if (origin === undefined) {
    const site = request.header('sec-fetch-site')
    return site !== undefined && site !== 'same-origin' && site !== 'none'
  }
  // A page cannot set this header without asking first, and is never allowed to.
  const forwarded = isBehindProxy ? request.header('x-forwarded-host') : undefined
  const host = (forwarded ?? request.header('host') ?? '').toLowerCase()
  return origin.toLowerCase() !== `https://${host}`
}
