import type {TLSSocket} from 'node:tls'
import {messageOf, RegistryError, systemCode} from '../base/errors.ts'

/** What is wrong with a certificate, by the code that Node gives it. */
const CERTIFICATE_REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  CERT_REVOKED: 'the certificate is revoked',
  CERT_SIGNATURE_FAILURE: 'the signature of the certificate is wrong',
  CERT_CHAIN_TOO_LONG: 'the chain of certificates is too long',
  CERT_REJECTED: 'the certificate is not for this use',
  CERT_UNTRUSTED: 'the authority of the certificate is not trusted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is signed by itself, not by a known authority',
  INVALID_CA: 'the issuer of the certificate is no authority',
  INVALID_PURPOSE: 'the certificate is not for this use',
  PATH_LENGTH_EXCEEDED: 'the chain of certificates is too long',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate is of an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate is of an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is of an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate is of an unknown authority',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'no certificate was given',
}

/** What the other side said before it closed, by the code that Node gives it. */
const ALERT_REASONS: Readonly<Record<string, string>> = {
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'the peer asks for a certificate, and none was given',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'the peer refuses our certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'the peer says that our certificate has expired',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: 'the peer says that our certificate is revoked',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'the peer does not accept our certificate',
  'ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN': 'the peer does not accept our certificate',
  'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE': 'the peer refuses our certificate',
  'ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED': 'the peer says that our certificate has expired',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'the peer does not know the authority of our certificate',
}

/**
 * Says why a listener refused a client before there was a connection, for its log: to be called with what `tlsClientError` gave. Node
 * itself only says there that the socket hung up when it refused the client's certificate.
 */
export function clientRefusal(error: unknown, socket: Pick<TLSSocket, 'authorizationError'>): string {
  const code = String(socket.authorizationError ?? systemCode(error) ?? '')
  if (code === 'ECONNRESET') return 'the client closed during the handshake'
  return CERTIFICATE_REASONS[code] ?? ALERT_REASONS[code] ?? (code || messageOf(error))
}

/** Makes `REG_CERT_INVALID` of an error of a TLS client that is about certificates; gives undefined for any other. */
export function certificateError(error: unknown): RegistryError | undefined {
  const code = systemCode(error) ?? ''
  const reason = CERTIFICATE_REASONS[code] ?? ALERT_REASONS[code]
  if (reason === undefined) return undefined
  return new RegistryError('REG_CERT_INVALID', `TLS: ${reason}`, {info: {reason: code}, cause: error})
}
