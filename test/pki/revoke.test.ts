import {readFile} from 'node:fs/promises'
import {describe, expect, test} from 'vitest'
import {parseCrl} from '../../src/pki/crl.ts'
import {withLock} from '../../src/pki/dir-lock.ts'
import {loadSigner} from '../../src/pki/issuer.ts'
import {revoke} from '../../src/pki/revoke.ts'
import {freshCerts as fresh, NETWORK, NOW_MS} from './certs.ts'

describe('revoking', () => {
  const order = {ca: NETWORK, reason: 'superseded', nowMs: NOW_MS, dryRun: false} as const

  test('adds to the list what is not in it', async () => {
    const {dir} = await fresh()
    await revoke(dir, {...order, serials: ['1', 'ab']})
    const {added, entries} = await revoke(dir, {...order, serials: ['00AB', '2'], reason: 'keyCompromise'})
    expect(added).toEqual(['2'])
    const list = parseCrl(await dir.read('crl', NETWORK, 'crl'))
    expect([...list.revoked].map(([serial, {reason}]) => [serial, reason])).toEqual([
      ['1', 'superseded'],
      ['ab', 'superseded'],
      ['2', 'keyCompromise'],
    ])
    expect(entries).toHaveLength(3)
    expect(list.isSignedBy((await dir.certificate('ca', NETWORK)).publicKey)).toBe(true)
  })

  test('loses none of those that are revoked at the same time', async () => {
    const {dir} = await fresh()
    const serials = ['1', '2', '3', '4', '5', '6']
    await Promise.all(serials.map((serial) => revoke(dir, {...order, serials: [serial]})))
    const list = parseCrl(await dir.read('crl', NETWORK, 'crl'))
    expect([...list.revoked.keys()].toSorted()).toEqual(serials)
  })

  test('changes nothing when it is only tried', async () => {
    const {dir} = await fresh()
    expect(await revoke(dir, {...order, serials: ['1'], dryRun: true})).toMatchObject({added: ['1']})
    expect(await dir.find('crl', NETWORK, 'crl')).toBeUndefined()
  })

  test('goes on from a list that Synapse made', async () => {
    const {dir} = await fresh()
    const vectors = JSON.parse(await readFile(new URL('../vectors/synapse-certificates.json', import.meta.url), 'utf8'))
    await dir.create('crl', NETWORK, 'crl', vectors.crl)
    await expect(revoke(dir, {...order, serials: ['1']})).rejects.toMatchObject({code: 'REG_CERT_INVALID'})
    const theirs = parseCrl(vectors.crl)
    expect(theirs.isSignedBy((await loadSigner(dir, NETWORK)).certificate.publicKey)).toBe(false)
    expect(theirs.revoked.size).toBe(1)
  })

  test('waits for its turn', async () => {
    const {path} = await fresh()
    const order: string[] = []
    const hold = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const first = withLock(path, async () => {
      order.push('first begins')
      begun.resolve()
      await hold.promise
      order.push('first ends')
    })
    await begun.promise
    const second = withLock(path, async () => void order.push('second'))
    hold.resolve()
    await Promise.all([first, second])
    expect(order).toEqual(['first begins', 'first ends', 'second'])
  })
})
