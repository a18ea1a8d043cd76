import {badBytes} from './cert-files.ts'

/** Writes bytes in PEM form, `label` being CERTIFICATE or the like. */
export function encodePem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

const MAX_BLOCKS = 1000

/**
 * Gives the bytes of each PEM block with one of the labels, in their order; what is around and between them is skipped.
 *
 * @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes`) when a block has something else than base64 in it, or there are more than 1000
 */
export function decodePem(text: string, ...labels: readonly string[]): readonly Buffer[] {
  const found: Buffer[] = []
  for (const [, label = '', body = ''] of text.matchAll(/-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END \1-----/g)) {
    if (!labels.includes(label)) continue
    const base64 = body.replaceAll(/\s/g, '')
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw badBytes(`a block ${label} is not in PEM form`)
    found.push(Buffer.from(base64, 'base64'))
    if (found.length > MAX_BLOCKS) throw badBytes(`there are more than ${MAX_BLOCKS} blocks ${label}`)
  }
  return found
}
