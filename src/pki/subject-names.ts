import {isIPv4, isIPv6} from 'node:net'
import {OctetString} from 'asn1js'
import {GeneralName, GeneralNames} from 'pkijs'
import {RegistryError} from '../base/errors.ts'
import {badBytes} from './cert-files.ts'

/** Kinds of names that a host certificate can have beside its common name, with their number in it; in the order in which they are written. */
const TYPES = {DNS: 2, email: 1, URI: 6, IP: 7} as const

/** One alternative name of a host. */
export interface SubjectName {
  readonly kind: keyof typeof TYPES
  readonly value: string
}

const KINDS = Object.keys(TYPES) as SubjectName['kind'][]
const MAX_NAMES = 100
const MAX_VALUE = 255

/**
 * Reads a list like `DNS:www.demo.net,email:ops@demo.net,URI:https://demo.net,IP:127.0.0.1`.
 *
 * @throws RegistryError `REG_BAD_REQUEST` naming the one that cannot be read
 */
export function parseSubjectNames(text: string): readonly SubjectName[] {
  const items = text.split(',').map((item) => item.trim())
  if (items.length > MAX_NAMES) throw badName(`more than ${MAX_NAMES} names`)
  return items.map((item) => {
    const colon = item.indexOf(':')
    const kind = KINDS.find((one) => one.toLowerCase() === item.slice(0, colon).toLowerCase())
    const value = item.slice(colon + 1)
    if (kind === undefined || !isValue(kind, value)) throw badName(JSON.stringify(item))
    return {kind, value}
  })
}

/** Gives the alternative name that a host's own name is. @throws RegistryError `REG_BAD_REQUEST` when it cannot be one */
export function dnsName(name: string): SubjectName {
  if (!isValue('DNS', name)) throw badName(`host ${JSON.stringify(name.slice(0, 80))}`)
  return {kind: 'DNS', value: name}
}

/** Writes names as the value of the extension, each once: DNS, then e-mail, then URI, then IP, each kind in order. */
export function generalNames(names: readonly SubjectName[]): GeneralNames {
  const all = KINDS.flatMap((kind) => {
    const values = new Set(names.filter((name) => name.kind === kind).map(({value}) => value))
    return [...values].toSorted().map((value) => generalName(kind, value))
  })
  return new GeneralNames({names: all})
}

function generalName(kind: SubjectName['kind'], value: string): GeneralName {
  return kind === 'IP'
    ? new GeneralName({type: TYPES.IP, value: new OctetString({valueHex: ipBytes(value)})})
    : new GeneralName({type: TYPES[kind], value})
}

/** Reads what `generalNames` writes. Names of other kinds are left out. @throws RegistryError `REG_CERT_INVALID` for more than 100 */
export function readGeneralNames({names}: GeneralNames): readonly SubjectName[] {
  if (names.length > MAX_NAMES) throw badBytes(`there are more than ${MAX_NAMES} alternative names`)
  return names.flatMap(({type, value}) => {
    const kind = KINDS.find((one) => TYPES[one] === type)
    if (kind === undefined) return []
    return [{kind, value: value instanceof OctetString ? ipText(Buffer.from(value.getValue())) : String(value)}]
  })
}

function isValue(kind: SubjectName['kind'], value: string): boolean {
  if (kind === 'IP') return isIPv4(value) || isIPv6(value)
  // These three are ASCII in a certificate; other letters have their own encodings.
  return value.length > 0 && value.length <= MAX_VALUE && /^[\x21-\x7e]+$/.test(value)
}

function ipBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split('.').map(Number))
  // The URL parser writes an address in its shortest form, from which it is filled up.
  const shortest = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = shortest.split('::')
  const groups = (part: string | undefined) => (part ? part.split(':') : [])
  const filled = [...groups(head), ...Array(8 - groups(head).length - groups(tail).length).fill('0'), ...groups(tail)]
  return Uint8Array.from(Buffer.from(filled.map((group) => group.padStart(4, '0')).join(''), 'hex'))
}

function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = (bytes.toString('hex').match(/.{4}/g) ?? []).join(':')
  return bytes.length === 16 ? new URL(`http://[${groups}]/`).hostname.slice(1, -1) : bytes.toString('hex')
}

function badName(what: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', `${what}: not names that a certificate can have`, {
    hints: ['write them as DNS:www.demo.net,email:ops@demo.net,URI:https://demo.net,IP:127.0.0.1'],
  })
}
