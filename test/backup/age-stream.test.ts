import {createCipheriv, hkdfSync, randomBytes} from 'node:crypto'
import {Decrypter, Encrypter, generateHybridIdentity, generateX25519Identity, identityToRecipient} from 'age-encryption'
import {describe, expect, test} from 'vitest'
import {decryptAge, encryptAge} from '../../src/backup/age-stream.ts'
import {ByteReader} from '../../src/backup/byte-reader.ts'
import {chunksOf, gather} from './archive-kit.ts'

const PIECE = 65_536
const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)
const other = await generateX25519Identity()

const sealed = (bytes: Uint8Array, recipients = [recipient]) => gather(encryptAge(chunksOf(bytes, 50_000), recipients))
const opened = (bytes: Uint8Array, identities: readonly string[] = [identity], length = 40_000) =>
  gather(decryptAge(new ByteReader(chunksOf(bytes, length)), identities))

describe('age', () => {
  test.each([0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])('seals %i bytes as the library does', async (length) => {
    const plain = randomBytes(length)
    const ours = await sealed(plain)
    const decrypter = new Decrypter()
    decrypter.addIdentity(identity)
    expect(plain.equals(await decrypter.decrypt(ours))).toBe(true)
    const encrypter = new Encrypter()
    encrypter.addRecipient(recipient)
    expect(plain.equals(await opened(await encrypter.encrypt(plain), [identity], 1000))).toBe(true)
    expect(plain.equals(await opened(ours))).toBe(true)
  })

  test('opens for each of the recipients, one of them post-quantum', async () => {
    const hybrid = await generateHybridIdentity()
    const recipients = await Promise.all([identity, hybrid].map(identityToRecipient))
    const bytes = await sealed(Buffer.from('plain'), recipients)
    for (const one of [identity, hybrid]) expect(String(await opened(bytes, [other, one]))).toBe('plain')
  })

  test.each([
    ['none', []],
    ['another', [other]],
  ])('with %s identity says that it cannot be opened', async (_, identities) => {
    const bytes = await sealed(Buffer.from('plain'))
    await expect(opened(bytes, identities)).rejects.toThrow(expect.objectContaining({code: 'REG_BACKUP_SEALED'}))
  })

  test('with a passphrase says what is taken', async () => {
    const encrypter = new Encrypter()
    encrypter.setPassphrase('secret words')
    encrypter.setScryptWorkFactor(2)
    await expect(opened(await encrypter.encrypt('plain'))).rejects.toThrow(/passphrase, and only identities/)
  })

  test('that is cut anywhere is damaged', async () => {
    const bytes = await sealed(randomBytes(2 * PIECE))
    const header = bytes.indexOf('\n--- ') + 1
    const piece = PIECE + 16
    const cuts = [0, 10, header, header + 20, bytes.length - 2 * piece, bytes.length - piece, bytes.length - 1]
    for (const cut of [...cuts, bytes.length - piece - 1, bytes.length - piece + 1, bytes.length - 20]) {
      const cutOff = opened(bytes.subarray(0, cut))
      await expect(cutOff, `${cut}`).rejects.toThrow(expect.objectContaining({code: 'REG_BACKUP_DAMAGED'}))
    }
  })

  test('with an empty last piece behind a full one is damaged: nothing that seals makes that', async () => {
    const bytes = await sealed(randomBytes(PIECE))
    const header = bytes.subarray(0, bytes.indexOf('\n', bytes.indexOf('\n--- ') + 1) + 1)
    const decrypter = new Decrypter()
    decrypter.addIdentity(identity)
    const nonce = bytes.subarray(header.length, header.length + 16)
    const key = new Uint8Array(hkdfSync('sha256', await decrypter.decryptHeader(header), nonce, 'payload', 32))
    const piece = (count: number, isLast: boolean, plain: Uint8Array) => {
      const place = Buffer.from([...new Uint8Array(10), count, isLast ? 1 : 0])
      const cipher = createCipheriv('chacha20-poly1305', key, place, {authTagLength: 16})
      return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    }
    const plain = randomBytes(PIECE)
    const whole = Buffer.concat([header, nonce, piece(0, true, plain)])
    expect(plain.equals(await opened(whole))).toBe(true)
    const emptyEnd = Buffer.concat([header, nonce, piece(0, false, plain), piece(1, true, new Uint8Array(0))])
    await expect(opened(emptyEnd)).rejects.toThrow(/ends too early/)
  })

  test('that is altered anywhere, or longer, is damaged', async () => {
    const bytes = await sealed(randomBytes(1000))
    for (let at = 25; at < bytes.length; at += 7) {
      const altered = Buffer.from(bytes)
      altered[at] = (altered[at] ?? 0) ^ 1
      await expect(opened(altered), `${at}`).rejects.toThrow(
        expect.objectContaining({code: expect.stringMatching(/^REG_BACKUP_(DAMAGED|SEALED)$/)}),
      )
    }
    await expect(opened(Buffer.concat([bytes, Buffer.from('x')]))).rejects.toThrow(/altered/)
  })

  test('with a header without an end is not gathered', async () => {
    let given = 0
    async function* endless() {
      yield Buffer.from('age-encryption.org/v1\n')
      for (; given < 1 << 26; given += PIECE) yield Buffer.alloc(PIECE, 'x')
    }
    await expect(gather(decryptAge(new ByteReader(endless()), [identity]))).rejects.toThrow(/header is not complete/)
    expect(given).toBeLessThan(1 << 20)
  })
})
