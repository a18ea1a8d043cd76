/**
 * Directories of certificates, as the peers lay them out:
 *
 *     cas/NAME.crt   cas/NAME.key       authorities; every cas/*.crt is trusted by clients
 *     hosts/NAME.*   users/NAME.*       of listeners and of people; also .csr (a request under way) and .p12
 *     code/NAME.*                       for signing code
 *     crls/NAME.crl                     what the authority NAME has revoked
 *
 * Several directories may be stacked: what is read comes from the first that has it, what is written goes to the first of all.
 */
import type {KeyObject, X509Certificate} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import {basename, dirname, join, resolve} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {createFileAtomic, makePrivateDir, PRIVATE_FILE_MODE, removeFile, writeFileAtomic} from '../base/files.ts'
import {isFile, namesIn, parseCertificate, parsePrivateKey, readCertFile} from './cert-files.ts'

const FOLDERS = {ca: 'cas', host: 'hosts', user: 'users', code: 'code', crl: 'crls'} as const
/** What a file belongs to. */
export type CertKind = keyof typeof FOLDERS
export type CertFileEnding = 'crt' | 'key' | 'csr' | 'p12' | 'crl'

const PUBLIC_FILE_MODE = 0o644
const SECRET_ENDINGS: readonly CertFileEnding[] = ['key', 'p12']
const MAX_NAME_BYTES = 200 // what a file system takes, with room for the ending and .bak

const MISSING: Readonly<Record<CertFileEnding, readonly [what: string, telepath: string]>> = {
  crt: ['certificate', 'NoSuchCert'],
  key: ['private key', 'NoCertKey'],
  csr: ['certificate request', 'NoSuchFile'],
  p12: ['PKCS#12 file', 'NoSuchFile'],
  crl: ['revocation list', 'NoSuchFile'],
}
const OWNERS: Readonly<Record<CertKind, string>> = {
  ca: 'CA',
  host: 'Host',
  user: 'User',
  code: 'Code',
  crl: 'CA',
}

/** One or several stacked certificate directories. They need not exist; the first is made when something is written. */
export class CertDir {
  /** Absolute, the first gets what is written. */
  readonly paths: readonly [string, ...string[]]

  constructor(first: string, ...others: readonly string[]) {
    this.paths = [resolve(first), ...others.map((path) => resolve(path))]
  }

  /** Gives the path that a file has, or would get, in the first directory. Throws as `checkCertName`. */
  pathOf(kind: CertKind, name: string, ending: CertFileEnding): string {
    return fileIn(this.paths[0], kind, name, ending)
  }

  /** Gives the path of an existing file, from the first directory that has it; undefined when none has. Throws as `checkCertName`. */
  async find(kind: CertKind, name: string, ending: CertFileEnding): Promise<string | undefined> {
    for (const path of this.paths) {
      const file = fileIn(path, kind, name, ending)
      if (await isFile(file)) return file
    }
    return undefined
  }

  /** Gives the path of a file that has to exist. @throws RegistryError `REG_CERT_MISSING` (`NoSuchCert`, `NoCertKey`, `NoSuchFile`) */
  async locate(kind: CertKind, name: string, ending: CertFileEnding): Promise<string> {
    const file = await this.find(kind, name, ending)
    if (file !== undefined) return file
    const [what, telepath] = MISSING[ending]
    throw new RegistryError('REG_CERT_MISSING', `${OWNERS[kind]} ${what} not found: ${name}`, {
      info: {name, directories: this.paths},
      telepath,
    })
  }

  /** Reads a file. Throws as `locate`; `REG_CERT_INVALID` when it cannot be read. */
  async read(kind: CertKind, name: string, ending: CertFileEnding): Promise<string> {
    return await readCertFile(await this.locate(kind, name, ending))
  }

  /** Reads a certificate; of a chain in one file, the first. Throws as `read` and `parseCertificate`. */
  async certificate(kind: Exclude<CertKind, 'crl'>, name: string): Promise<X509Certificate> {
    return parseCertificate(await this.read(kind, name, 'crt'), `${OWNERS[kind]} certificate ${name}`)
  }

  /** Reads a private key. Throws as `read`; `REG_CERT_INVALID` when it is none or needs a passphrase. */
  async key(kind: Exclude<CertKind, 'crl'>, name: string): Promise<KeyObject> {
    return parsePrivateKey(await this.read(kind, name, 'key'), `${OWNERS[kind]} private key ${name}`)
  }

  /** Lists the names that have a file of that kind and ending, in order, with the file that counts. Hidden files are none. */
  async list(
    kind: CertKind,
    ending: CertFileEnding,
  ): Promise<readonly {readonly name: string; readonly path: string}[]> {
    const found = new Map<string, string>()
    for (const path of this.paths) {
      const folder = join(path, FOLDERS[kind])
      for (const file of await namesIn(folder)) {
        const name = file.slice(0, -ending.length - 1)
        if (!file.endsWith(`.${ending}`) || file.startsWith('.') || name === '' || found.has(name)) continue
        found.set(name, join(folder, file))
      }
    }
    return [...found].map(([name, path]) => ({name, path})).toSorted((one, other) => (one.name < other.name ? -1 : 1))
  }

  /**
   * Finds the user certificate for a name. A name with `@` is looked for with ever less of the part behind it: for `visi@00.axon.demo.net` the
   * certificates `visi@00.axon.demo.net`, `visi@axon.demo.net`, `visi@demo.net`, `visi@net`. One without `@` is taken as it stands.
   *
   * @throws RegistryError `REG_CERT_MISSING` (`NoSuchCert`) when there is none of them
   */
  async userCertFor(name: string): Promise<string> {
    const at = name.indexOf('@')
    const labels = at < 0 ? [] : name.slice(at + 1).split('.')
    const candidates = at < 0 ? [name] : labels.map((_, skip) => `${name.slice(0, at)}@${labels.slice(skip).join('.')}`)
    for (const candidate of candidates) {
      if ((await this.find('user', candidate, 'crt')) !== undefined) return candidate
    }
    throw new RegistryError('REG_CERT_MISSING', `User certificate not found: ${name}`, {
      info: {name, tried: candidates, directories: this.paths},
    })
  }

  /**
   * Writes a file that must not be there yet in the first directory, for the owner alone when it holds a key. Gives its path.
   *
   * @throws RegistryError `REG_FILE_EXISTS` (`DupFileName`); `REG_DIR_UNUSABLE` when it cannot be written
   */
  async create(kind: CertKind, name: string, ending: CertFileEnding, content: string | Uint8Array): Promise<string> {
    const path = this.pathOf(kind, name, ending)
    await writable(path, async () => {
      await makePrivateDir(dirname(path))
      await createFileAtomic(path, content, modeOf(ending))
    })
    return path
  }

  /** Writes a file whether it is there or not; what was there stays beside it as `.bak`. Gives its path. Throws as `create`. */
  async replace(kind: CertKind, name: string, ending: CertFileEnding, content: string | Uint8Array): Promise<string> {
    const path = this.pathOf(kind, name, ending)
    await writable(path, async () => {
      await makePrivateDir(dirname(path))
      if (await isFile(path)) await writeFileAtomic(`${path}.bak`, await readFile(path), modeOf(ending))
      await writeFileAtomic(path, content, modeOf(ending))
    })
    return path
  }

  /** Writes a file whether it is there or not; what was there is gone. Gives its path. Throws as `create`. */
  async overwrite(kind: CertKind, name: string, ending: CertFileEnding, content: string): Promise<string> {
    const path = this.pathOf(kind, name, ending)
    await writable(path, async () => {
      await makePrivateDir(dirname(path))
      await writeFileAtomic(path, content, modeOf(ending))
    })
    return path
  }

  /** Removes a file from the first directory; one that is not there is fine. Throws as `create`. */
  async remove(kind: CertKind, name: string, ending: CertFileEnding): Promise<void> {
    const path = this.pathOf(kind, name, ending)
    if (await isFile(path)) await writable(path, () => removeFile(path))
  }
}

/**
 * Checks that a name can be the name of a file in a certificate directory and nowhere else.
 *
 * @throws RegistryError `REG_BAD_REQUEST` (`BadArg`)
 */
export function checkCertName(name: string): void {
  const isUnsafe = name === '' || /[/\\\p{Cc}]/u.test(name) || name.includes('..') || name.startsWith('.')
  const isLong = Buffer.byteLength(name) > MAX_NAME_BYTES
  if (!isUnsafe && !isLong && name.isWellFormed()) return
  const reason = isLong ? `longer than ${MAX_NAME_BYTES} bytes` : 'not one that a file could safely have'
  throw new RegistryError('REG_BAD_REQUEST', `the name ${JSON.stringify(name.slice(0, 80))} is ${reason}`, {
    info: {name: name.slice(0, 80)},
    hints: ['give a name without slashes, "..", a dot in front or control characters'],
  })
}

function fileIn(directory: string, kind: CertKind, name: string, ending: CertFileEnding): string {
  checkCertName(name)
  return join(directory, FOLDERS[kind], `${name}.${ending}`)
}

function modeOf(ending: CertFileEnding): number {
  return SECRET_ENDINGS.includes(ending) ? PRIVATE_FILE_MODE : PUBLIC_FILE_MODE
}

async function writable(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (error) {
    throw notWritten(path, systemCode(error) ?? messageOf(error), error)
  }
}

function notWritten(path: string, reason: string, cause: unknown): RegistryError {
  if (reason === 'EEXIST') {
    return new RegistryError('REG_FILE_EXISTS', `${basename(path)} is there already: ${path}`, {info: {path}, cause})
  }
  return new RegistryError('REG_DIR_UNUSABLE', `cannot write ${path}: ${reason}`, {info: {path, reason}, cause})
}
