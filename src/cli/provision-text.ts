import {formatDuration} from '../base/duration.ts'
import type {CellUser} from '../client/admin-values.ts'
import type {Contact, Provision, ProvisionCertificate, ProvisionKind} from '../client/aha-admin.ts'
import {ruleText} from './permission-text.ts'
import {type Column, keyValues, localTime, table} from './render.ts'

/** A one-time URL that was made, under `--json`. */
export interface MintReport {
  readonly url: string
  readonly kind: 'service' | 'user'
  /** Without the network. */
  readonly name: string
  readonly network: string
  /** Who comes with it: his name at the AHA, and what he may do there. */
  readonly user: {
    readonly name: string
    readonly admin: boolean
    readonly rules: readonly string[]
    readonly roles: readonly string[]
  }
  /** Name of the leader that the service follows. */
  readonly mirror: string | null
  /** Null: never. */
  readonly expires: string | null
  /** Setting of the service that takes the URL; null for a user. */
  readonly setting: string | null
}

/** A one-time URL for another member, under `--json`. */
export interface CloneReport {
  readonly url: string
  /** DNS name of the new member. */
  readonly host: string
  /** Of its Telepath listener. */
  readonly port: number
  readonly network: string
  /** Null: never. */
  readonly expires: string | null
  /** Variable by which the new member takes the URL. */
  readonly setting: string
}

/** A one-time URL of the list, under `--json`. */
export interface ProvisionReport {
  readonly id: string
  readonly kind: ProvisionKind
  readonly name: string
  readonly state: string
  readonly user: string | null
  readonly created: string
  readonly by: string
  readonly expires: string | null
  readonly claimed: ContactReport | null
  readonly used: ContactReport | null
  readonly certificates: readonly {
    readonly purpose: string
    readonly name: string
    readonly serial: string
    readonly issued: string
    readonly from: string
  }[]
}

interface ContactReport {
  readonly at: string
  readonly from: string
}

/** Says what a one-time URL is for, which rights come with it, until when, and how to use it. */
export function mintText(report: MintReport, nowMs: number): string {
  const {url, kind, name, network, mirror, expires, setting} = report
  return keyValues([
    ['url', url],
    [kind, kind === 'service' ? `${name}.${network}` : `${name}@${network}`],
    ['mirror of', mirror ?? undefined],
    ['rights', rightsText(report)],
    ['expires', expiresText(expires, nowMs)],
    [
      'use it once',
      setting === null
        ? `registry enroll 'URL'`
        : `${setting}=URL when the service starts, or aha:provision in its cell.yaml`,
    ],
  ])
}

/** Says where a new member will be, what it gets, until when, and how to make it. */
export function cloneText({url, host, port, network, expires, setting}: CloneReport, nowMs: number): string {
  return keyValues([
    ['url', url],
    ['clone', `${host}, port ${port}`],
    ['gets', `a copy of everything, and the key of the authority ${network}`],
    ['expires', expiresText(expires, nowMs)],
    ['use it once', `${setting}='URL' when the new member starts, or clone in its cell.yaml`],
  ])
}

function expiresText(expires: string | null, nowMs: number): string {
  if (expires === null) return 'never'
  const expiresMs = Date.parse(expires)
  return `${localTime(expiresMs)}, in ${formatDuration(Math.max(0, expiresMs - nowMs))}`
}

/** Says what a service or a user may do, in words. */
export function rightsText({kind, network, user}: Pick<MintReport, 'kind' | 'network' | 'user'>): string {
  const {name, admin, rules, roles} = user
  if (admin) {
    const reach = name === 'root' ? `, and on every service of ${network} that knows it as root` : ''
    const less = kind === 'service' ? '; --user own gives less' : ''
    return `${name}: everything on this AHA${reach}${less}`
  }
  const lookUp = ruleText([true, ['aha', 'service', 'get', network]])
  const register = ruleText([true, ['aha', 'service', 'add', network, '']]).replace(/""$/, '')
  const names = rules.filter((rule) => rule.startsWith(register)).map((rule) => unquoted(rule.slice(register.length)))
  const others = rules.filter((rule) => rule !== lookUp && !rule.startsWith(register))
  const parts = [
    ...(rules.includes(lookUp) ? [`look up services of ${network}`] : []),
    ...(names.length === 0 ? [] : [`register as ${names.toSorted().join(' and ')}`]),
    ...(others.length === 0 ? [] : [`also by its rules: ${others.join(', ')}`]),
    ...(roles.length === 0 ? [] : [`and what the roles ${roles.join(', ')} may`]),
  ]
  return `${name}: ${parts.join(', ') || 'nothing'}`
}

/** What a user of AHA is and may, for the report of a one-time URL. All have the role `all`. */
export function holderOf(name: string, user: CellUser | undefined): MintReport['user'] {
  if (user === undefined) return {name, admin: false, rules: [], roles: []}
  const roles = user.roles.map((role) => role.name).filter((role) => role !== 'all')
  return {name, admin: user.isAdmin, rules: user.rules.map(ruleText), roles}
}

/** Gives the setting that a service takes the URL by; its beginning is that of the kind of service, of which the name tells for the known ones. */
export function settingOf(name: string): string {
  const kind = name.slice(name.lastIndexOf('.') + 1).toUpperCase()
  return `SYN_${KNOWN_KINDS.includes(kind) ? kind : '<TYPE>'}_AHA_PROVISION`
}

const KNOWN_KINDS: readonly string[] = ['AXON', 'CORTEX', 'CRYOTANK', 'JSONSTOR']

export function provisionReport(one: Provision): ProvisionReport {
  const {id, kind, name, state, user, createdMs, creator, expiresMs, claimed, used, certificates} = one
  return {
    ...{id, kind, name, state, user, created: iso(createdMs), by: creator},
    expires: expiresMs === null ? null : iso(expiresMs),
    claimed: contactReport(claimed),
    used: contactReport(used),
    certificates: certificates.map(({issuedMs, purpose, name: cn, serial, from}) => ({
      ...{purpose, name: cn, serial, issued: iso(issuedMs), from},
    })),
  }
}

const COLUMNS: readonly Column<Provision>[] = [
  {header: 'id', value: ({id}) => id},
  {header: 'kind', value: ({kind}) => kind},
  {header: 'name', value: ({name}) => name},
  {header: 'state', value: ({state}) => state},
  {header: 'as', value: ({user}) => user ?? '-'},
  {header: 'by', value: ({creator}) => creator},
  {header: 'created', value: ({createdMs}) => localTime(createdMs)},
  {header: 'expires', value: ({expiresMs}) => (expiresMs === null ? 'never' : localTime(expiresMs))},
  {header: 'came from', value: ({used, claimed}) => contactText(used ?? claimed)},
]

type CertificateRow = ProvisionCertificate & Pick<Provision, 'id'>

const CERTIFICATE_COLUMNS: readonly Column<CertificateRow>[] = [
  {header: 'id', value: ({id}) => id},
  {header: 'certificate', value: ({purpose, name}) => `${purpose} ${name}`},
  {header: 'serial', value: ({serial}) => serial},
  {header: 'signed', value: ({issuedMs}) => localTime(issuedMs)},
  {header: 'for', value: ({from}) => from},
]

/** Lays one-time URLs out in a table. */
export function provisionTable(provisions: readonly Provision[]): string {
  return table(provisions, COLUMNS)
}

/** Lays the certificates that were signed for them out in a table. */
export function certificateTable(provisions: readonly Provision[]): string {
  const rows = provisions.flatMap(({id, certificates}) => certificates.map((one) => ({...one, id})))
  return table(rows, CERTIFICATE_COLUMNS)
}

/** Names one for a person: `service 00.axon (1f2e3d4c)`. */
export function provisionTitle({kind, name, id}: Pick<Provision, 'kind' | 'name' | 'id'>): string {
  return `${kind} ${name} (${id})`
}

function contactText(contact: Contact | null): string {
  return contact === null ? '-' : `${contact.from}, ${localTime(contact.atMs)}`
}

function contactReport(contact: Contact | null): ContactReport | null {
  return contact === null ? null : {at: iso(contact.atMs), from: contact.from}
}

function unquoted(element: string): string {
  return element.startsWith('"') ? element.slice(1, -1) : element
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString()
}
