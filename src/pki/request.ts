import type {CertDir} from './cert-dir.ts'
import type {Purpose} from './certificate-facts.ts'
import {makeCsr} from './csr.ts'
import {refuseExisting} from './issuer.ts'
import {type KeyType, newPrivateKey, privateKeyPem} from './keys.ts'
import type {SubjectName} from './subject-names.ts'

/** A request to be made in a directory. */
export interface RequestOrder {
  readonly purpose: Purpose
  readonly name: string
  /** Take the key that is there; else a new one of `keyType` is made. */
  readonly useKey: boolean
  readonly keyType: KeyType
  readonly alternativeNames: readonly SubjectName[]
  /** Replace what is there, keeping it as `.bak`. */
  readonly replace: boolean
}

/** Paths of what was made. */
export interface Requested {
  readonly key: string
  readonly request: string
}

/**
 * Makes a request, and a key for it unless one is to be used.
 *
 * @throws RegistryError `REG_FILE_EXISTS`; `REG_CERT_MISSING` (`NoCertKey`); `REG_BAD_REQUEST` for the name
 */
export async function requestInto(certDir: CertDir, order: RequestOrder): Promise<Requested> {
  const {purpose, name, useKey, replace, alternativeNames} = order
  if (!replace) await refuseExisting(certDir, purpose, name, useKey ? ['csr'] : ['key', 'csr'])
  const key = useKey ? await certDir.key(purpose, name) : await newPrivateKey(order.keyType)
  const csr = await makeCsr(name, key, {isCa: purpose === 'ca', alternativeNames})
  const write = replace ? certDir.replace.bind(certDir) : certDir.create.bind(certDir)
  const keyPath = useKey
    ? await certDir.locate(purpose, name, 'key')
    : await write(purpose, name, 'key', privateKeyPem(key))
  return {key: keyPath, request: await write(purpose, name, 'csr', csr)}
}
