/**
 * Turns a one-time URL of a user into certificates and an entry of `telepath.yaml`, so that `aha://NAME` works from then on.
 *
 * @see spec/aha.md, sections 5 and 6.2
 */
import {createHash} from 'node:crypto'
import {join} from 'node:path'
import {RegistryError} from '../../base/errors.ts'
import {addConfigItems} from '../../config/update-file.ts'
import type {CertDir, CertFileEnding} from '../../pki/cert-dir.ts'
import {readCertFile} from '../../pki/cert-files.ts'
import {ClientTlsCache} from '../../pki/client-tls.ts'
import {withLock} from '../../pki/dir-lock.ts'
import {formatUrl, parseUrl} from '../../wire/telepath/url.ts'
import {oddAnswer} from '../admin-values.ts'
import {readTelepathYaml} from '../telepath/syn-files.ts'
import {type OnceUrl, parseOnceUrl} from './once-url.ts'
import {type Admission, nameIn, type Redeemed, redeem} from './redeem.ts'
import {makeRecordDir, RecordFile} from './redeem-record.ts'

export interface EnrollOrder {
  /** One-time URL. */
  readonly url: string
  /** Its first directory gets the certificates. */
  readonly certDir: CertDir
  /** Directory of `telepath.yaml`. */
  readonly synDir: string
  /** Replace what is there, keeping it as `.bak`. */
  readonly replace: boolean
  readonly signal?: AbortSignal | undefined
}

/** What an enrollment has done. */
export interface Enrolled {
  /** `visi@demo.net`, as the certificate has it. */
  readonly user: string
  readonly network: string
  /** Files that were written. */
  readonly files: readonly string[]
  /** `telepath.yaml`. */
  readonly config: string
  /** URLs of the AHA servers of the network, as the user reaches them. */
  readonly ahaServers: readonly string[]
  /** Those of them that `telepath.yaml` did not have. */
  readonly added: readonly string[]
}

interface UserAdmission extends Admission {
  /** Common name of the user's certificate. */
  readonly user: string
  readonly urls: readonly string[]
}

/** Where the records of URLs under way are, below `synDir`. */
const RECORDS = 'enroll'
const MAX_URLS = 100

/**
 * Enrolls. Who calls it again with the same URL, after an answer was lost or the disk was full, goes on where it ended.
 *
 * @throws RegistryError `REG_FILE_EXISTS` when something would be replaced; `REG_CONFIG_INVALID` for a `telepath.yaml` that cannot be changed; as `redeem`
 */
export async function enroll(order: EnrollOrder): Promise<Enrolled> {
  const once = parseOnceUrl(order.url)
  const records = join(order.synDir, RECORDS)
  await makeRecordDir(records)
  return await withLock(records, () => enrollAlone(once, order))
}

async function enrollAlone(once: OnceUrl, order: EnrollOrder): Promise<Enrolled> {
  const {certDir, synDir, signal} = order
  const config = join(synDir, 'telepath.yaml')
  await checkConfig(config)
  // The name of the file tells nobody the iden.
  const digest = createHash('sha256').update(once.iden).digest('hex').slice(0, 32)
  const record = new RecordFile(join(synDir, RECORDS, `${digest}.json`))
  if ((await record.read(once.iden)) === undefined) await checkLikely(once, order)
  const redeemed = await redeem(once, {
    kind: 'user',
    record,
    tls: new ClientTlsCache(certDir),
    read: readAdmission,
    accept: (parts) => checkFiles(filesOf(parts), order),
    signal,
  })
  const files = await writeFiles(filesOf(redeemed), order)
  const {user, network, urls} = redeemed.admission
  const added = await addConfigItems(config, 'aha:servers', urls, {version: 1})
  await record.remove()
  return {user, network, files, config, ahaServers: urls, added}
}

/** A file that would be ignored afterwards, or could not be read, is one to mend first. */
async function checkConfig(config: string): Promise<void> {
  const ignored: string[] = []
  await readTelepathYaml(config, (text) => ignored.push(text))
  const [why] = ignored
  if (why === undefined) return
  throw new RegistryError('REG_CONFIG_INVALID', `${why}; the AHA could not be found by it`, {
    info: {source: config},
    hints: [`set version: 1 in ${config}, or move the file away`],
  })
}

/**
 * Refuses while the URL is still untouched. Whose it is, only the AHA says, and a Synapse one has then used it up: so who has a certificate of a
 * network that the AHA's name belongs to has to say that it may be replaced.
 */
async function checkLikely({host}: OnceUrl, {certDir, replace}: EnrollOrder): Promise<void> {
  if (replace) return
  const users = await certDir.list('user', 'crt')
  const found = users.find(({name}) => {
    const network = name.slice(name.lastIndexOf('@') + 1)
    return name.includes('@') && (host === network || host.endsWith(`.${network}`))
  })
  if (found === undefined) return
  throw exists(found.path, `there is a certificate of ${found.name} already, and the AHA is of the same network`)
}

interface WantedFile {
  readonly kind: 'ca' | 'user'
  readonly name: string
  readonly ending: CertFileEnding
  /** Undefined until it is signed. */
  readonly content: string | undefined
}

function filesOf(
  redeemed: Pick<Redeemed<UserAdmission>, 'admission' | 'authority' | 'keys'> & Partial<Redeemed<UserAdmission>>,
): readonly WantedFile[] {
  const {admission, authority, keys, certificates} = redeemed
  const {user, network} = admission
  return [
    {kind: 'ca', name: network, ending: 'crt', content: authority},
    {kind: 'user', name: user, ending: 'key', content: keys.user},
    {kind: 'user', name: user, ending: 'crt', content: certificates?.user},
  ]
}

/** Refuses what would be replaced by something else. */
async function checkFiles(files: readonly WantedFile[], {certDir, replace}: EnrollOrder): Promise<void> {
  if (replace) return
  const [, key] = files
  const isResumed = key !== undefined && (await isThere(certDir, key))
  for (const file of files) {
    const path = certDir.pathOf(file.kind, file.name, file.ending)
    // A certificate beside our own key is what an earlier attempt has written.
    const isOurs = (file.ending === 'crt' && file.kind === 'user' && isResumed) || (await isThere(certDir, file))
    if (isOurs || (await contentOf(path)) === undefined) continue
    throw exists(path, `${file.kind === 'ca' ? `another authority ${file.name}` : file.name} is there already`)
  }
}

async function writeFiles(files: readonly WantedFile[], {certDir}: EnrollOrder): Promise<readonly string[]> {
  const written: string[] = []
  for (const file of files) {
    if (await isThere(certDir, file)) continue
    written.push(await certDir.replace(file.kind, file.name, file.ending, file.content ?? ''))
  }
  return written
}

async function isThere(certDir: CertDir, {kind, name, ending, content}: WantedFile): Promise<boolean> {
  const stored = await contentOf(certDir.pathOf(kind, name, ending))
  return content !== undefined && stored !== undefined && withoutBlanks(stored) === withoutBlanks(content)
}

/** Others break the lines of PEM in other places. */
function withoutBlanks(pem: string): string {
  return pem.replaceAll(/\s/g, '')
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readCertFile(path)
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'REG_CERT_MISSING') return undefined
    throw error
  }
}

function readAdmission(info: Readonly<Record<string, unknown>>): UserAdmission {
  const network = nameIn(info, 'aha:network')
  const user = `${nameIn(info, 'aha:user')}@${network}`
  const given = info['aha:urls'] ?? []
  const urls: readonly unknown[] = Array.isArray(given) ? given : [given]
  if (urls.length > MAX_URLS) throw oddAnswer('aha:urls', `there are more than ${MAX_URLS}`)
  return {network, user, names: {user}, urls: [...new Set(urls.map((url) => withCertificate(url, user)))]}
}

/** The URL of an AHA server, with the certificate to come with. */
function withCertificate(url: unknown, user: string): string {
  if (typeof url !== 'string' || !/^[\x21-\x7e]{1,1024}$/.test(url)) throw oddAnswer('aha:urls', 'it is no URL')
  const parsed = parseUrl(url)
  if (parsed.passwd !== undefined) throw oddAnswer('aha:urls', 'there is a password in it')
  if (parsed.scheme !== 'ssl' || parsed.params.get('certname') === user) return url
  return formatUrl({...parsed, params: new Map([...parsed.params, ['certname', user]])})
}

function exists(path: string, text: string): RegistryError {
  return new RegistryError('REG_FILE_EXISTS', `${text}: ${path}. The URL is not used`, {
    telepath: 'DupFileName',
    info: {path},
    hints: [
      'registry enroll URL --force, which keeps what it replaces as .bak',
      'take another directory: SYN_DIR=DIR SYN_CERT_DIR=DIR/certs registry enroll URL',
    ],
  })
}
