/**
 * What a one-time URL of another AHA does to this service before it starts: certificates, configuration, and a mark that it was done.
 *
 *     prov.pending   keys, and what came back so far; there until all of it is in its place, so that a start that was cut off is taken up
 *     prov.done      iden of the URL: with the same URL, later starts keep what they have, as at the peer
 *
 * @see spec/aha.md, sections 5 and 6.3
 */
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {writeFileAtomic} from '../base/files.ts'
import type {Log} from '../base/log.ts'
import {oddAnswer} from '../client/admin-values.ts'
import {type OnceUrl, parseOnceUrl} from '../client/enroll/once-url.ts'
import {type Admission, nameIn, type Redeemed, redeem} from '../client/enroll/redeem.ts'
import {RecordFile} from '../client/enroll/redeem-record.ts'
import type {CertDir, CertFileEnding, CertKind} from '../pki/cert-dir.ts'
import {ClientTlsCache} from '../pki/client-tls.ts'
import {forOption} from './for-option.ts'

/** What an AHA gives: options, and the AHA as it may be shown. */
export interface GivenConf {
  readonly conf: Readonly<Record<string, unknown>>
  readonly aha: string
}

export interface SelfProvisionPorts {
  /** Data directory; it belongs to this process. */
  readonly dir: string
  readonly certs: CertDir
  readonly log: Pick<Log, 'info' | 'warning'>
  /** Refuses options that this service cannot have, by throwing. */
  readonly check: (given: GivenConf) => Promise<void>
  /** Writes them into the files of the data directory. */
  readonly write: (given: GivenConf) => Promise<void>
}

interface ServiceAdmission extends Admission {
  readonly conf: Readonly<Record<string, unknown>>
  readonly names: {readonly host: string; readonly user: string}
}

/** Files of the data directory. */
export const DONE = 'prov.done'
export const PENDING = 'prov.pending'
const OPTION = 'aha:provision'
const HINTS = ['give aha:provision a new URL: registry provision service NAME', 'or leave aha:provision out']
/** Another URL would end the same way. */
const FINAL: readonly string[] = ['REG_CONFIG_INVALID', 'REG_DIR_UNUSABLE', 'REG_USAGE', 'REG_CANCELLED']

/**
 * Redeems the first of these URLs that works, unless one of them was redeemed before. True when the configuration is a new one.
 *
 * @throws RegistryError why the last of them failed, as `redeem`; `REG_CONFIG_INVALID` for what this service cannot be. Files are then as they were.
 */
export async function provisionSelf(
  ports: SelfProvisionPorts,
  urls: readonly string[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return await forOption(OPTION, HINTS, provisionBy(ports, urls, signal))
}

async function provisionBy(
  ports: SelfProvisionPorts,
  urls: readonly string[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const all = urls.map((url) => parseOnceUrl(url))
  const done = await readDone(ports.dir)
  if (all.some(({iden}) => iden === done)) return false
  const record = new RecordFile(join(ports.dir, PENDING))
  let failure: unknown
  for (const once of await pendingFirst(all, record)) {
    try {
      await provisionWith(once, record, ports, signal)
      return true
    } catch (error) {
      failure = error
      if (signal?.aborted === true || !(error instanceof RegistryError) || FINAL.includes(error.code)) break
      if (all.length > 1) ports.log.warning('provision.failed', {aha: once.shown, error})
    }
  }
  throw failure
}

/** A URL whose keys are known goes first: it may be half redeemed. */
async function pendingFirst(all: readonly OnceUrl[], record: RecordFile): Promise<readonly OnceUrl[]> {
  const known = await Promise.all(all.map(async ({iden}) => (await record.read(iden)) !== undefined))
  return [...all.filter((_, index) => known[index]), ...all.filter((_, index) => !known[index])]
}

async function provisionWith(
  once: OnceUrl,
  record: RecordFile,
  {dir, certs, log, check, write}: SelfProvisionPorts,
  signal: AbortSignal | undefined,
): Promise<void> {
  const redeemed = await redeem(once, {
    kind: 'service',
    record,
    tls: new ClientTlsCache(certs),
    read: readAdmission,
    accept: ({admission: {conf}}) => check({conf, aha: once.shown}),
    signal,
  })
  const {conf, names, network} = redeemed.admission
  await writeCerts(certs, redeemed)
  await write({conf, aha: once.shown})
  await writeFileAtomic(join(dir, DONE), once.iden)
  await record.remove()
  log.info('provision.done', {aha: once.shown, network, host: names.host, user: names.user})
}

function readAdmission(info: Readonly<Record<string, unknown>>): ServiceAdmission {
  const {conf} = info
  if (typeof conf !== 'object' || conf === null || Array.isArray(conf)) throw oddAnswer('getProvInfo', 'it has no conf')
  const options = conf as Readonly<Record<string, unknown>>
  const network = nameIn(options, 'aha:network')
  const names = {host: `${nameIn(options, 'aha:name')}.${network}`, user: `${nameIn(options, 'aha:user')}@${network}`}
  return {conf: options, network, names}
}

/** What is there under the same names stays beside as `.bak`. */
async function writeCerts(certs: CertDir, redeemed: Redeemed<ServiceAdmission>): Promise<void> {
  const {admission, authority, keys, certificates} = redeemed
  const {network, names} = admission
  const files: readonly (readonly [CertKind, string, CertFileEnding, string | undefined])[] = [
    ['ca', network, 'crt', authority],
    ['host', names.host, 'key', keys.host],
    ['host', names.host, 'crt', certificates.host],
    ['user', names.user, 'key', keys.user],
    ['user', names.user, 'crt', certificates.user],
  ]
  for (const [kind, name, ending, content = ''] of files) {
    const path = await certs.find(kind, name, ending)
    if (path !== undefined && (await readFile(path, 'utf8')) === content) continue
    await certs.replace(kind, name, ending, content)
  }
}

/** Gives the iden of the URL that this directory was made with; undefined when it was made without. */
export async function readDone(dir: string): Promise<string | undefined> {
  const path = join(dir, DONE)
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw notRead(path, error)
  }
}

function notRead(path: string, cause: unknown): RegistryError {
  const reason = systemCode(cause) ?? messageOf(cause)
  return new RegistryError('REG_DIR_UNUSABLE', `cannot read ${path}: ${reason}`, {info: {path, reason}, cause})
}
