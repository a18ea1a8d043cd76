/**
 * What certificates, requests, revocation lists and PKCS#12 files are made of: ASN.1, read and written by pkijs. Rooms that are needed at each
 * start of a server load the files that import this one only when they come to need them (docs/decisions/0005-pkijs-for-certificates.md).
 */
import {fromBER} from 'asn1js'
import {Time} from 'pkijs'
import {RegistryError} from '../base/errors.ts'
import {badBytes} from './cert-files.ts'

/** What asn1js makes of bytes. */
type Asn1 = ReturnType<typeof fromBER>['result']

/** No certificate has a third of it; each level is a few calls on the stack. */
const MAX_DEPTH = 30
const MAX_VALUES = 10_000

/**
 * Reads one value of a type of pkijs, and nothing behind it. `what` says what it should be. Bytes that are nested deeper than 30 levels, or
 * have more than `maxValues` values in them, are refused when that is reached.
 *
 * @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes`)
 */
export function readAsn1<T>(
  bytes: Uint8Array,
  type: new (parameters: {schema: Asn1}) => T,
  what: string,
  maxValues = MAX_VALUES,
): T {
  return guarded(what, () => new type({schema: readValue(bytes, what, maxValues)}))
}

/** Reads one value of a class of asn1js. Throws as `readAsn1`. */
export function readPlain<T>(bytes: Uint8Array, type: new () => T, what: string): T {
  const value: unknown = guarded(what, () => readValue(bytes, what, MAX_VALUES))
  if (value instanceof type) return value
  throw badBytes(`${what} is of another type than it should be`)
}

/** Gives the bytes of a value: of a type of pkijs what its `toSchema` gives. */
export function writeAsn1(value: {toBER(): ArrayBuffer}): Buffer {
  return Buffer.from(value.toBER())
}

const YEAR_2050_MS = Date.UTC(2050, 0)
const YEAR_1950_MS = Date.UTC(1950, 0)

/** Writes an instant, whole seconds; in the short form until 2049 and in the long one from 2050 on, as RFC 5280 asks. */
export function asn1Time(epochMs: number): Time {
  const isShort = epochMs < YEAR_2050_MS && epochMs >= YEAR_1950_MS
  return new Time({type: isShort ? 0 : 1, value: new Date(epochMs)})
}

/** Reads an instant in milliseconds since the epoch. Throws as `readAsn1`. */
export function timeOf({value}: Time, what: string): number {
  const epochMs = value.getTime()
  // asn1js makes a time of the year 1899 of one that it cannot read.
  if (epochMs >= YEAR_1950_MS) return epochMs
  throw badBytes(`${what} has a time that cannot be read`)
}

function readValue(bytes: Uint8Array, what: string, maxNodes: number): Asn1 {
  const limits = {maxDepth: MAX_DEPTH, maxNodes, maxContentLength: bytes.length, parseEmbedded: false}
  const {offset, result} = fromBER(bytes, limits)
  if (offset < 0) throw badBytes(`${what} cannot be read: ${result.error}`)
  if (offset < bytes.length) throw badBytes(`${what} has something behind its end`)
  return result
}

/** Whatever a library throws at bytes from elsewhere is about these bytes. */
function guarded<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof RegistryError) throw error
    throw badBytes(`${what} is malformed`, error)
  }
}
