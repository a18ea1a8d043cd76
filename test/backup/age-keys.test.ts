import {writeFile} from 'node:fs/promises'
import {generateHybridIdentity, generateX25519Identity, identityToRecipient} from 'age-encryption'
import {describe, expect, test} from 'vitest'
import {parseRecipients, readIdentities} from '../../src/backup/age-keys.ts'
import {Scratch} from './archive-kit.ts'

const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)
const hybrid = await identityToRecipient(await generateHybridIdentity())

describe('identities', () => {
  test('are read as age-keygen writes them', async () => {
    await using scratch = await Scratch.make()
    const other = await generateHybridIdentity()
    await writeFile(
      scratch.path('key.txt'),
      `# created: today\n# public key: ${recipient}\n${identity}\n\r\n  ${other}\r\n`,
    )
    expect(await readIdentities(scratch.path('key.txt'))).toEqual([identity, other])
  })

  test.each([
    ['nothing', '# nothing\n', /holds no identity/],
    ['a recipient', recipient, /is a recipient/],
    ['an encrypted file', 'age-encryption.org/v1\n-> scrypt x 18\n', /encrypted itself/],
    ['an SSH key', '-----BEGIN OPENSSH PRIVATE KEY-----\n', /SSH/],
    ['a plugin', 'AGE-PLUGIN-YUBIKEY-1XXX', /plugins/],
    ['a typing error', identity.replace(/..$/, (end) => (end === 'QQ' ? 'PP' : 'QQ')), /typing error/],
    ['something else', 'my password', /line 1 is no identity/],
    ['too many', `${identity}\n`.repeat(101), /more than 100/],
    ['too much', '#'.repeat(2 << 20), /more than 1048576 bytes/],
  ])('are not read from a file with %s, and it is not repeated', async (_, text, reason) => {
    await using scratch = await Scratch.make()
    await writeFile(scratch.path('key'), text)
    const error = await readIdentities(scratch.path('key')).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({code: 'REG_USAGE', message: expect.stringMatching(reason)})
    expect(String(error)).not.toMatch(/AGE-SECRET-KEY-1.|password/)
  })

  test('of a file that is not there are none', async () => {
    await expect(readIdentities('/nowhere/key.txt')).rejects.toThrow(/cannot read the identity file/)
  })
})

describe('recipients', () => {
  test('are taken by themselves and from files, each once', async () => {
    await using scratch = await Scratch.make()
    const other = await identityToRecipient(await generateX25519Identity())
    await writeFile(scratch.path('team'), `# the team\n${other}\n${recipient}\n`)
    expect(await parseRecipients([recipient, `@${scratch.path('team')}`])).toEqual([recipient, other])
    expect(await parseRecipients([hybrid])).toEqual([hybrid])
    expect(await parseRecipients([])).toEqual([])
  })

  test.each([
    ['an identity', identity, /given as a recipient/],
    ['an SSH key', 'ssh-ed25519 AAAA', /SSH/],
    ['a typing error', recipient.replace(/..$/, (end) => (end === 'qq' ? 'pp' : 'qq')), /typing error/],
    ['something else', 'bob', /"bob" is no recipient/],
    ['no file', '@/nowhere', /cannot read the recipients file/],
  ])('are none in %s', async (_, text, reason) => {
    const error = await parseRecipients([text]).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({code: 'REG_USAGE', message: expect.stringMatching(reason)})
    expect(String(error)).not.toContain('AGE-SECRET-KEY-1')
  })

  test('of the next years do not go with those of today', async () => {
    await expect(parseRecipients([hybrid, recipient])).rejects.toThrow(/post-quantum/)
  })
})
