import {parseJson} from '../base/json-parse.ts'
import {isObject} from './service.ts'

/**
 * A certificate was signed for whoever may ask for it, outside of tickets (whose certificates are in `TicketChange`). It leaves nothing but
 * its entry in the log, which is on disk before the certificate leaves:
 *
 *     {"v":1,"kind":"cert:issue","purpose":"host","name":"00.axon.demo.net","authority":"demo.net","serial":"3f…","keySha256":"9c…","from":"10.0.0.7"}
 *
 * Versions: 1, the first.
 */
export interface CertChange {
  readonly kind: 'cert:issue'
  /** `ca`: an authority, signed by itself. */
  readonly purpose: 'ca' | 'host' | 'user'
  /** Common name. */
  readonly name: string
  /** Name of the authority that signed. */
  readonly authority: string
  /** Hex, as `X509Certificate` has it, in lower case. */
  readonly serial: string
  /** SHA-256 of the public key in SPKI form, hex. */
  readonly keySha256: string
  /** Address of who asked. */
  readonly from: string
}

/** Tells whether a change of this kind is one of certificates outside of tickets. */
export function isCertKind(kind: string): boolean {
  return kind === 'cert:issue'
}

/** Gives the text of a change for the log. */
export function encodeCertChange(change: CertChange): string {
  return JSON.stringify({v: 1, ...change})
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeCertChange(text: string): CertChange {
  const value = parseJson(text)
  if (!isObject(value) || value['v'] !== 1) throw new TypeError('not a change of version 1')
  const {kind, purpose} = value
  if (kind !== 'cert:issue') throw new TypeError(`not a change of a known kind: ${String(kind)}`)
  if (purpose !== 'ca' && purpose !== 'host' && purpose !== 'user') throw new TypeError('purpose is not a known one')
  const textIn = (name: string): string => {
    const member = value[name]
    if (typeof member !== 'string') throw new TypeError(`${name} is not a text`)
    return member
  }
  return {
    kind,
    purpose,
    name: textIn('name'),
    authority: textIn('authority'),
    serial: textIn('serial'),
    keySha256: textIn('keySha256'),
    from: textIn('from'),
  }
}
