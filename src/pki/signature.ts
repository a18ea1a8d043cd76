/** Signatures of certificates, requests and revocation lists. They are made and verified by node:crypto. */
import assert from 'node:assert/strict'
import {type KeyObject, sign, verify} from 'node:crypto'
import {promisify} from 'node:util'
import {BitString, Null, Sequence} from 'asn1js'
import {AlgorithmIdentifier, type Certificate, type CertificateRevocationList, type CertificationRequest} from 'pkijs'
import {writeAsn1} from './asn1.ts'
import {checkPublicKey} from './keys.ts'

const signAsync = promisify(sign)

const SHA256_RSA = '1.2.840.113549.1.1.11'
const SHA256_ECDSA = '1.2.840.10045.4.3.2'

/** Gives the identifier of the algorithm that a key signs with. Throws as `checkPublicKey` for keys that sign nothing here. */
export function signatureAlgorithm(key: KeyObject): AlgorithmIdentifier {
  checkPublicKey(key)
  return key.asymmetricKeyType === 'rsa'
    ? new AlgorithmIdentifier({algorithmId: SHA256_RSA, algorithmParams: new Null()})
    : new AlgorithmIdentifier({algorithmId: SHA256_ECDSA})
}

/** What can be signed: it can be written without a signature. */
type Signable = Pick<Certificate | CertificateRevocationList | CertificationRequest, 'toSchema'>

/** Signs and gives the whole: body, algorithm, signature. Where the body names the algorithm too, that is set already. */
export async function signedDer(content: Signable, key: KeyObject): Promise<Buffer> {
  const [body] = content.toSchema(true).valueBlock.value
  assert(body !== undefined, 'what is signed has a body')
  const signature = await signAsync('sha256', writeAsn1(body), key)
  const parts = [body, signatureAlgorithm(key).toSchema(), new BitString({valueHex: new Uint8Array(signature)})]
  return writeAsn1(new Sequence({value: parts}))
}

const DIGESTS: Readonly<Record<string, readonly [keyType: string, digest: string]>> = {
  [SHA256_RSA]: ['rsa', 'sha256'],
  '1.2.840.113549.1.1.12': ['rsa', 'sha384'],
  '1.2.840.113549.1.1.13': ['rsa', 'sha512'],
  [SHA256_ECDSA]: ['ec', 'sha256'],
  '1.2.840.10045.4.3.3': ['ec', 'sha384'],
  '1.2.840.10045.4.3.4': ['ec', 'sha512'],
}

/** The parts of what was read that its signature is about. */
type Signed = Pick<
  CertificateRevocationList | CertificationRequest,
  'tbsView' | 'signatureAlgorithm' | 'signatureValue'
>

/** Tells whether the owner of a key has signed what was read. False for algorithms that are not taken here. */
export function isSigned({tbsView, signatureAlgorithm, signatureValue}: Signed, publicKey: KeyObject): boolean {
  const [keyType, digest] = DIGESTS[signatureAlgorithm.algorithmId] ?? []
  if (digest === undefined || keyType !== publicKey.asymmetricKeyType) return false
  return verify(digest, tbsView, publicKey, signatureValue.valueBlock.valueHexView)
}
