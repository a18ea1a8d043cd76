import {isIPv4, isIPv6} from 'node:net'
import {RegistryError} from '../base/errors.ts'
import {childrenOf, type Der, der, sequence, TAG} from './der.ts'

/** Kinds of names that a host certificate can have beside its common name, with their tag; in the order in which they are written. */
const TAGS = {DNS: 0x82, email: 0x81, URI: 0x86, IP: 0x87} as const

/** One alternative name of a host. */
export interface SubjectName {
  readonly kind: keyof typeof TAGS
  readonly value: string
}

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
    const kind = Object.keys(TAGS).find((one) => one.toLowerCase() === item.slice(0, colon).toLowerCase())
    const value = item.slice(colon + 1)
    if (kind === undefined || !isValue(kind as SubjectName['kind'], value)) throw badName(JSON.stringify(item))
    return {kind: kind as SubjectName['kind'], value}
  })
}

/** Gives the alternative name that a host's own name is. @throws RegistryError `REG_BAD_REQUEST` when it cannot be one */
export function dnsName(name: string): SubjectName {
  if (!isValue('DNS', name)) throw badName(`host ${JSON.stringify(name.slice(0, 80))}`)
  return {kind: 'DNS', value: name}
}

/** Writes names as the value of the extension, each once: DNS, then e-mail, then URI, then IP, each kind in order. */
export function generalNames(names: readonly SubjectName[]): Buffer {
  const kinds = Object.keys(TAGS) as SubjectName['kind'][]
  const parts = kinds.flatMap((kind) => {
    const values = new Set(names.filter((name) => name.kind === kind).map(({value}) => value))
    return [...values].toSorted().map((value) => der(TAGS[kind], kind === 'IP' ? ipBytes(value) : Buffer.from(value)))
  })
  return sequence(...parts)
}

/** Reads what `generalNames` writes. Names of other kinds are left out. */
export function readGeneralNames(value: Der): readonly SubjectName[] {
  const kinds = Object.keys(TAGS) as SubjectName['kind'][]
  return childrenOf(value, TAG.sequence, MAX_NAMES).flatMap(({tag, body}) => {
    const kind = kinds.find((one) => TAGS[one] === tag)
    if (kind === undefined) return []
    return [{kind, value: kind === 'IP' ? ipText(body) : body.toString('latin1')}]
  })
}

function isValue(kind: SubjectName['kind'], value: string): boolean {
  if (kind === 'IP') return isIPv4(value) || isIPv6(value)
  // These three are ASCII in a certificate; other letters have their own encodings.
  return value.length > 0 && value.length <= MAX_VALUE && /^[\x21-\x7e]+$/.test(value)
}

function ipBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  // The URL parser writes an address in its shortest form, from which it is filled up.
  const shortest = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = shortest.split('::')
  const groups = (part: string | undefined) => (part ? part.split(':') : [])
  const filled = [...groups(head), ...Array(8 - groups(head).length - groups(tail).length).fill('0'), ...groups(tail)]
  return Buffer.from(filled.map((group) => group.padStart(4, '0')).join(''), 'hex')
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
