/**
 * What a one-time URL of another member does to a new directory before it starts: certificates, the authority with its key, the iden of the cell, and
 * the configuration of a mirror. The files `prov.pending` and `prov.done` are those of `self-provision.ts`: a start that was cut off at any step is
 * taken up by the next one. The store is not touched: an empty directory with the option `mirror` is filled by `copy.ts`.
 */
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {RegistryError} from '../../base/errors.ts'
import {exists, writeFileAtomic} from '../../base/files.ts'
import type {Log} from '../../base/log.ts'
import {oddAnswer} from '../../client/admin-values.ts'
import {type OnceUrl, parseOnceUrl} from '../../client/enroll/once-url.ts'
import {type Admission, nameIn, type Redeemed, redeem} from '../../client/enroll/redeem.ts'
import {RecordFile} from '../../client/enroll/redeem-record.ts'
import type {CertDir, CertFileEnding, CertKind} from '../../pki/cert-dir.ts'
import {ClientTlsCache} from '../../pki/client-tls.ts'
import {forOption} from '../for-option.ts'
import {DONE, type GivenConf, PENDING, readDone} from '../self-provision.ts'

export interface SelfClonePorts {
  /** Data directory; it belongs to this process. */
  readonly dir: string
  /** Where the store is, or will be. */
  readonly storePath: string
  readonly certs: CertDir
  readonly log: Pick<Log, 'info' | 'warning'>
  /** Refuses options that this server cannot have, by throwing. `cellIden` is that of the cell. */
  readonly check: (given: GivenConf, cellIden: string) => Promise<void>
  /** Makes this the directory of a member of that cell. */
  readonly adopt: (cellIden: string) => Promise<void>
  /** Writes options into the files of the data directory. */
  readonly write: (given: GivenConf) => Promise<void>
}

interface MemberAdmission extends Admission {
  readonly conf: Readonly<Record<string, unknown>>
  readonly names: {readonly host: string}
  readonly cellIden: string
}

const OPTION = 'clone'
const HINTS = ['give clone a new URL: registry clone NAME, at the leader']

/**
 * Redeems the URL, unless that was done before. True when the configuration is a new one.
 *
 * @throws RegistryError `REG_CONFIG_INVALID` for a directory that has a store of its own; as `redeem`; files are then as they were
 */
export async function cloneSelf(ports: SelfClonePorts, url: string, signal: AbortSignal | undefined): Promise<boolean> {
  return await forOption(OPTION, HINTS, cloneBy(ports, url, signal))
}

async function cloneBy(ports: SelfClonePorts, url: string, signal: AbortSignal | undefined): Promise<boolean> {
  const once = parseOnceUrl(url)
  if ((await readDone(ports.dir)) === once.iden) return false
  if (await exists(ports.storePath)) throw notEmpty(ports.dir)
  const record = new RecordFile(join(ports.dir, PENDING))
  const {certs, check, adopt, write, log} = ports
  const redeemed = await redeem(once, {
    kind: 'clone',
    record,
    tls: new ClientTlsCache(certs),
    read: readMember,
    accept: ({admission: {conf, cellIden}}) => check({conf, aha: once.shown}, cellIden),
    signal,
  })
  const {conf, names, network, cellIden} = redeemed.admission
  await writeCerts(certs, redeemed)
  await adopt(cellIden)
  await write({conf, aha: once.shown})
  await finish(ports.dir, once, record)
  log.info('clone.admitted', {leader: once.shown, network, host: names.host, cell: cellIden})
  return true
}

async function finish(dir: string, {iden}: OnceUrl, record: RecordFile): Promise<void> {
  await writeFileAtomic(join(dir, DONE), iden)
  await record.remove()
}

function readMember(info: Readonly<Record<string, unknown>>): MemberAdmission {
  const {conf, cell} = info
  if (typeof conf !== 'object' || conf === null || Array.isArray(conf))
    throw oddAnswer('getMemberDef', 'it has no conf')
  if (typeof cell !== 'string' || !/^[0-9a-f]{32}$/.test(cell)) throw oddAnswer('getMemberDef', 'it names no cell')
  const options = conf as Readonly<Record<string, unknown>>
  const network = nameIn(options, 'aha:network')
  return {conf: options, network, names: {host: nameIn(options, 'dns:name')}, cellIden: cell}
}

/** Each key before its certificate. What is there under the same names stays beside as `.bak`. */
async function writeCerts(certs: CertDir, redeemed: Redeemed<MemberAdmission>): Promise<void> {
  const {admission, authority, authorityKey, keys, certificates} = redeemed
  const {network, names} = admission
  const files: readonly (readonly [CertKind, string, CertFileEnding, string | null | undefined])[] = [
    ['ca', network, 'key', authorityKey],
    ['ca', network, 'crt', authority],
    ['host', names.host, 'key', keys.host],
    ['host', names.host, 'crt', certificates.host],
  ]
  for (const [kind, name, ending, content] of files) {
    const path = await certs.find(kind, name, ending)
    if (path !== undefined && (await readFile(path, 'utf8')) === content) continue
    await certs.replace(kind, name, ending, content ?? '')
  }
}

function notEmpty(dir: string): RegistryError {
  const text = `${dir} has a registry of its own already: only a new directory becomes a copy of another one`
  return new RegistryError('REG_CONFIG_INVALID', text, {
    info: {dir},
    hints: ['registry serve NEW-DIR, with clone set for that one', 'leave clone out'],
  })
}
