import {constants} from 'node:crypto'
import {createSecureContext, DEFAULT_CIPHERS, type SecureContext, type SecureContextOptions} from 'node:tls'
import {messageOf} from '../base/errors.ts'
import {badBytes} from './cert-files.ts'

/**
 * What every TLS connection of ours has in common: TLS 1.2 or newer, no key exchange without forward secrecy, no renegotiation, no ALPN, the
 * server chooses the cipher.
 */
export function tlsPolicy() {
  // Not a constant: commands that open no TLS would load Node's TLS for it.
  return {
    minVersion: 'TLSv1.2',
    ciphers: `${DEFAULT_CIPHERS}:!kRSA`,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  } as const satisfies SecureContextOptions
}

/** Makes a TLS context under the policy. @throws RegistryError `REG_CERT_INVALID` when key and certificate of `what` do not fit */
export function secureContext(options: SecureContextOptions, what: string): SecureContext {
  try {
    return createSecureContext({...tlsPolicy(), ...options})
  } catch (error) {
    throw badBytes(`${what}: key and certificate cannot be used: ${messageOf(error)}`, error)
  }
}
