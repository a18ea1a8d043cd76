import {constants} from 'node:fs'
import {access, readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'
import {removeFile, writeFileAtomic} from '../base/files.ts'
import type {HostKey} from '../pki/server-tls.ts'

const CERT_FILE = 'sslcert.pem'
const KEY_FILE = 'sslkey.pem'
/** Both, key first, until each has its place: a start that was cut off between the two is gone on with. */
const PENDING_FILE = 'sslpair.pending'
const SEPARATOR = '\n\n'
/** As the peers name the certificate of a cell of this type. */
const CELL_TYPE = 'ahacell'
/** A certificate is no secret. */
const PUBLIC_FILE_MODE = 0o644

/**
 * Makes `sslkey.pem` and `sslcert.pem` in a data directory that has neither: a certificate for the type of the cell and for this machine, signed
 * by its own key. Gives whether it did. Where a start was cut off while it did so, the next one ends it.
 *
 * @throws RegistryError `REG_CERT_INVALID` when only one of them is there
 */
export async function ensureHttpsPair(dir: string, nowMs: number): Promise<boolean> {
  if (await placePending(dir)) return true
  const [hasCert, hasKey] = await Promise.all([isThere(join(dir, CERT_FILE)), isThere(join(dir, KEY_FILE))])
  if (hasCert && hasKey) return false
  if (hasCert || hasKey) {
    const [there, absent] = hasCert ? [CERT_FILE, KEY_FILE] : [KEY_FILE, CERT_FILE]
    throw new RegistryError('REG_CERT_INVALID', `${join(dir, there)} is there, but ${absent} is not`, {
      info: {path: join(dir, absent)},
      hints: [`put ${absent} beside it`, `remove ${there}: a new pair is made at the next start`],
    })
  }
  const {DEFAULT_TTL_MS, selfSignedHost} = await import('../pki/issuer.ts')
  const pair = await selfSignedHost(CELL_TYPE, 'rsa2048', {
    nowMs,
    ttlMs: DEFAULT_TTL_MS,
    alternativeNames: [{kind: 'DNS', value: 'localhost'}],
  })
  await writeFileAtomic(join(dir, PENDING_FILE), pair.key.trimEnd() + SEPARATOR + pair.cert)
  return await placePending(dir)
}

/** Gives the pair that is waiting its names; false when there is none. */
async function placePending(dir: string): Promise<boolean> {
  const pending = join(dir, PENDING_FILE)
  if (!(await isThere(pending))) return false
  const [key, cert] = (await readPem(pending)).split(SEPARATOR)
  if (key === undefined || cert === undefined) throw unreadable(pending, new TypeError('it is no pair'))
  await writeFileAtomic(join(dir, KEY_FILE), `${key}\n`)
  await writeFileAtomic(join(dir, CERT_FILE), cert, PUBLIC_FILE_MODE)
  await removeFile(pending)
  return true
}

/**
 * Reads the pair. `sslcert.pem` may hold the chain after the certificate.
 *
 * @throws RegistryError `REG_CERT_INVALID` when one cannot be read
 */
export async function readHttpsPair(dir: string): Promise<HostKey> {
  return {name: CERT_FILE, cert: await readPem(join(dir, CERT_FILE)), key: await readPem(join(dir, KEY_FILE))}
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, cause: unknown): RegistryError {
  const why = systemCode(cause) ?? messageOf(cause)
  return new RegistryError('REG_CERT_INVALID', `cannot read ${path}: ${why}`, {info: {path}, cause})
}

async function isThere(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  )
}
