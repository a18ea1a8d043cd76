import {createCipheriv, createDecipheriv, hash, hkdfSync} from 'node:crypto'
import {RegistryError} from '../base/errors.ts'
import type {TicketSecrets} from '../registry/ticket-text.ts'

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const TAG_BYTES = 16
const PURPOSE = 'registry provisioning info'
/** The same for all: each iden is its own key, and seals one text. So a member that reads an old log makes the same of it as its leader. */
const NONCE = Buffer.alloc(12)

/** What is made of the idens of one-time URLs. */
export const ticketSecrets: TicketSecrets = {
  hash: (iden) => hash('sha256', iden),
  seal(iden, text) {
    const cipher = createCipheriv(CIPHER, keyOf(iden), NONCE)
    return Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64')
  },
}

/**
 * Reads what was sealed with an iden.
 *
 * @throws RegistryError `REG_STORE_DAMAGED` when it was sealed with another one, or was altered
 */
export function unseal(iden: string, sealed: string): string {
  try {
    const bytes = Buffer.from(sealed, 'base64')
    const decipher = createDecipheriv(CIPHER, keyOf(iden), NONCE)
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8')
  } catch (error) {
    throw altered(error)
  }
}

function altered(cause: unknown): RegistryError {
  return new RegistryError('REG_STORE_DAMAGED', 'what a one-time URL is to tell was altered', {cause})
}

function keyOf(iden: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', iden, '', PURPOSE, KEY_BYTES))
}
