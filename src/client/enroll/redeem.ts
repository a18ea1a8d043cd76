/**
 * Redeems a one-time URL: asks what it is for, and has certificates signed for keys that are made here.
 *
 * An AHA of ours claims the URL for the session, and counts it as used with the last certificate; a Synapse one has used it up with the greeting.
 * So what can be checked is checked before the greeting, and what is learnt only then, before anything is signed.
 *
 * @see spec/aha.md, section 4
 */
import {systemClock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import type {ClientTlsCache} from '../../pki/client-tls.ts'
import {newPrivateKey, privateKeyPem} from '../../pki/keys.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import {oddAnswer} from '../admin-values.ts'
import {openUrl} from '../telepath/open-url.ts'
import type {OnceUrl} from './once-url.ts'
import {plainObject} from './plain.ts'
import type {RecordFile, RedeemPurpose, RedeemRecord} from './redeem-record.ts'

/** Whom a URL lets in. */
type OnceKind = 'service' | 'user' | 'clone'

/** What an AHA told of whom it lets in, read. */
export interface Admission {
  /** Also the name of the authority. */
  readonly network: string
  /** Common names of the certificates that are asked for. */
  readonly names: Readonly<Partial<Record<RedeemPurpose, string>>>
}

export interface RedeemJob<T extends Admission> {
  readonly kind: OnceKind
  readonly record: RecordFile
  readonly tls: ClientTlsCache
  /** Reads what the AHA tells. @throws RegistryError `REG_BAD_ANSWER` */
  readonly read: (info: Readonly<Record<string, unknown>>) => T
  /** Refuses by throwing, before anything is signed. */
  readonly accept: (parts: Pick<Redeemed<T>, 'admission' | 'authority' | 'keys'>) => void | Promise<void>
  readonly signal?: AbortSignal | undefined
}

/** What a URL has brought. All of it is checked. */
export interface Redeemed<T extends Admission> {
  readonly admission: T
  /** Certificate of the authority, in PEM form. */
  readonly authority: string
  readonly keys: RedeemRecord['keys']
  readonly certificates: RedeemRecord['certificates']
  /** Key of the authority, for another member of a cell. */
  readonly authorityKey: string | null
}

const ROWS = {
  service: {purposes: ['host', 'user'], info: 'getProvInfo'},
  user: {purposes: ['user'], info: 'getUserInfo'},
  clone: {purposes: ['host'], info: 'getMemberDef'},
} as const satisfies Record<OnceKind, {purposes: readonly RedeemPurpose[]; info: string}>
const SIGN = {host: 'signHostCsr', user: 'signUserCsr'} as const satisfies Record<RedeemPurpose, string>

/** Of the names that Telepath gives to refusals: an unknown, used or claimed URL. */
const NO_SUCH = 'NoSuchName'
const STEP_MS = 20_000
const MAX_MESSAGE_BYTES = 1024 * 1024
const MAX_PEM_BYTES = 64 * 1024

/**
 * Redeems a URL, or goes on where an earlier attempt ended. The record stays until its owner has put everything in its place and removes it.
 *
 * @throws RegistryError `REG_NOT_FOUND` for a URL that is used, expired or unknown; `REG_USAGE` for one of another kind; `REG_CERT_INVALID` for
 * another server than the pinned one, and for certificates that are not what was asked for; `REG_BAD_ANSWER`, `REG_UNREACHABLE`,
 * `REG_TIMED_OUT`, `REG_LINK_CLOSED`, `REG_DIR_UNUSABLE`; what `accept` throws
 */
export async function redeem<T extends Admission>(once: OnceUrl, job: RedeemJob<T>): Promise<Redeemed<T>> {
  const {record: file, kind} = job
  const known = (await file.read(once.iden)) ?? (await newRecord(once, kind))
  await file.write(known) // before anything is sent: who cannot keep a key must not use the URL
  if (isComplete(known, kind)) return await resume(known, job)
  try {
    const options = {spareLinks: 0, connectMs: STEP_MS, timeoutMs: STEP_MS, maxMessageBytes: MAX_MESSAGE_BYTES}
    await using proxy = await openUrl(once.url, job.tls, {...options, signal: job.signal})
    checkKind(proxy, kind, once)
    return await new Redeeming(proxy, job, known).run()
  } catch (error) {
    // Until the AHA has told something, the keys are worth nothing.
    if ((await file.read(once.iden))?.info === null) await file.remove()
    throw withoutIden(error, once, kind)
  }
}

/** One session with the AHA. */
class Redeeming<T extends Admission> {
  readonly #proxy: TelepathProxy
  readonly #job: RedeemJob<T>
  #record: RedeemRecord

  constructor(proxy: TelepathProxy, job: RedeemJob<T>, record: RedeemRecord) {
    this.#proxy = proxy
    this.#job = job
    this.#record = record
  }

  async run(): Promise<Redeemed<T>> {
    const {purposes, info} = ROWS[this.#job.kind]
    if (this.#record.info === null) {
      const told = plainObject(await this.#call(info), info)
      this.#job.read(told)
      await this.#keep({info: told})
    }
    const admission = this.#job.read(this.#record.info ?? {})
    if (this.#record.authority === null) await this.#keep({authority: await this.#authority(admission)})
    await this.#job.accept(partsOf(this.#record, admission))
    // All of them in one session: an AHA of ours counts the URL as used with the last. Who has the keys gets what they got before.
    for (const purpose of purposes) await this.#sign(purpose, admission)
    if (this.#job.kind === 'clone') await this.#keep({authorityKey: await this.#authorityKey()})
    return broughtBy(this.#record, admission)
  }

  async #authority({network}: T): Promise<string> {
    const {checkAuthority} = await import('../../pki/issued.ts')
    return checkAuthority(pemOf(await this.#call('getCaCert'), 'getCaCert'), network, systemClock.wallMs())
  }

  async #sign(purpose: RedeemPurpose, {names}: T): Promise<void> {
    const {makeCsr} = await import('../../pki/csr.ts')
    const {checkIssued} = await import('../../pki/issued.ts')
    const {parsePrivateKey} = await import('../../pki/cert-files.ts')
    const {authority, certificates} = this.#record
    const name = names[purpose] ?? ''
    const key = parsePrivateKey(this.#record.keys[purpose] ?? '', `the key for ${name}`)
    const csr = await makeCsr(name, key, {isCa: false, alternativeNames: []})
    const method = SIGN[purpose]
    const answer = pemOf(await this.#call(method, Buffer.from(csr)), method)
    const pem = checkIssued(answer, {purpose, name, key}, authority ?? '', systemClock.wallMs())
    await this.#keep({certificates: {...certificates, [purpose]: pem}})
  }

  async #authorityKey(): Promise<string> {
    const {openSealed} = await import('../../pki/sealed.ts')
    const {parseCertificate, parsePrivateKey} = await import('../../pki/cert-files.ts')
    const method = 'getCaKey'
    const answer = await this.#call(method)
    if (!(answer instanceof Uint8Array) || answer.length > MAX_PEM_BYTES) throw oddAnswer(method, 'it is no key')
    const pem = openSealed(parsePrivateKey(this.#record.keys.host ?? '', 'the key of this host'), answer)
    const authority = parseCertificate(this.#record.authority ?? '', 'the certificate of the authority')
    if (authority.checkPrivateKey(parsePrivateKey(pem, 'the key of the authority'))) return pem
    throw oddAnswer(method, 'it is not the key of the authority')
  }

  async #call(method: string, ...args: readonly Value[]): Promise<Value> {
    const {signal} = this.#job
    return await this.#proxy.call(method, {args, ...(signal === undefined ? {} : {signal})})
  }

  async #keep(more: Partial<RedeemRecord>): Promise<void> {
    this.#record = {...this.#record, ...more}
    await this.#job.record.write(this.#record)
  }
}

async function newRecord({iden}: OnceUrl, kind: OnceKind): Promise<RedeemRecord> {
  const made = ROWS[kind].purposes.map(async (purpose) => [purpose, privateKeyPem(await newPrivateKey('rsa2048'))])
  const keys = Object.fromEntries(await Promise.all(made))
  return {version: 1, iden, keys, info: null, authority: null, authorityKey: null, certificates: {}}
}

function isComplete({certificates, authorityKey}: RedeemRecord, kind: OnceKind): boolean {
  const isSigned = ROWS[kind].purposes.every((purpose) => certificates[purpose] !== undefined)
  return isSigned && (kind !== 'clone' || authorityKey !== null)
}

/** Takes up what an earlier attempt has brought completely. */
async function resume<T extends Admission>(record: RedeemRecord, job: RedeemJob<T>): Promise<Redeemed<T>> {
  const admission = job.read(record.info ?? {})
  await job.accept(partsOf(record, admission))
  return broughtBy(record, admission)
}

function broughtBy<T extends Admission>(record: RedeemRecord, admission: T): Redeemed<T> {
  const {certificates, authorityKey} = record
  return {...partsOf(record, admission), certificates, authorityKey}
}

function partsOf<T extends Admission>(
  {authority, keys}: RedeemRecord,
  admission: T,
): Pick<Redeemed<T>, 'admission' | 'authority' | 'keys'> {
  return {admission, authority: authority ?? '', keys}
}

function pemOf(value: Value, method: string): string {
  if (!(value instanceof Uint8Array) || value.length > MAX_PEM_BYTES) throw oddAnswer(method, 'it is no certificate')
  return Buffer.from(value).toString('latin1')
}

const KINDS: readonly (readonly [method: string, kind: OnceKind | 'peer clone'])[] = [
  ['getProvInfo', 'service'],
  ['getUserInfo', 'user'],
  ['getMemberDef', 'clone'],
  ['getCloneDef', 'peer clone'], // ours has both
]
const USED_UP = 'a Synapse AHA has used it up now: ask for a new one'
const KIND_TEXTS = {
  service: ['for a service', 'give it to the service: aha:provision in its cell.yaml, or SYN_…_AHA_PROVISION'],
  user: ['for a user', 'the user types: registry enroll URL'],
  clone: ['for a clone', 'give it to the new member: clone in its cell.yaml, or SYN_REGISTRY_CLONE'],
  'peer clone': ['for a copy of a Synapse AHA', 'it is the option clone of a Synapse AHA'],
} as const satisfies Record<OnceKind | 'peer clone', readonly [what: string, hint: string]>

function checkKind({info: {methods}}: TelepathProxy, wanted: OnceKind, {shown}: OnceUrl): void {
  const kind = KINDS.find(([method]) => methods.has(method))?.[1]
  if (kind === wanted) return
  if (kind === undefined) throw oddAnswer(shown, 'it is no listener for one-time URLs')
  const [what, hint] = KIND_TEXTS[kind]
  const text = `the one-time URL is ${what}, and not ${KIND_TEXTS[wanted][0]}`
  throw new RegistryError('REG_USAGE', text, {hints: [hint, USED_UP], info: {kind, wanted, aha: shown}})
}

const ASK = {
  service: 'registry provision service NAME',
  user: 'registry provision user NAME --again',
  clone: 'registry clone NAME, at the leader',
} as const satisfies Record<OnceKind, string>

/** Errors of peers name the URL's iden, with which it may still be redeemed. */
function withoutIden(error: unknown, {iden, shown}: OnceUrl, kind: OnceKind): unknown {
  if (!(error instanceof RegistryError)) return error
  const ask = ASK[kind]
  if (error.telepath === NO_SUCH) {
    const text = `${shown} does not take this one-time URL: it was used, has expired, was revoked, or is being redeemed by somebody else`
    return new RegistryError('REG_NOT_FOUND', text, {
      telepath: NO_SUCH,
      info: {aha: shown},
      hints: [`ask for a new one: ${ask}`],
    })
  }
  if (!JSON.stringify([error.message, error.info]).includes(iden)) return goodStill(error)
  const {code, hints, telepath} = error
  return new RegistryError(code, error.message.replaceAll(iden, '…'), {hints, telepath, info: {aha: shown}})
}

/** Nobody was reached, so nobody has used the URL. */
function goodStill(error: RegistryError): RegistryError {
  const {code, message, info, telepath, cause} = error
  if (code !== 'REG_UNREACHABLE' || !('peer' in info)) return error
  const hints = [...error.hints, 'give the same URL again then: it is as good as before']
  return new RegistryError(code, message, {hints, info, telepath, cause})
}

/** Reads a text of an answer. @throws RegistryError `REG_BAD_ANSWER` when it is none, or longer than a name can be */
export function nameIn(info: Readonly<Record<string, unknown>>, member: string): string {
  const value = info[member]
  if (typeof value === 'string' && /^[A-Za-z0-9_+-]+([.@][A-Za-z0-9_+-]+)*$/.test(value) && value.length <= 64)
    return value
  throw oddAnswer(member, 'it is no name')
}
