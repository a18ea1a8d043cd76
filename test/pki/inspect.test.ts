import {describe, expect, test} from 'vitest'
import {factsOf} from '../../src/pki/certificate-facts.ts'
import {inspectDir} from '../../src/pki/inspect.ts'
import {authoritiesAbove} from '../../src/pki/trust.ts'
import {freshCerts as fresh, NETWORK, NOW_MS} from './certs.ts'

describe('inspecting a directory', () => {
  test('finds what is wrong with keys and certificates, and goes on', async () => {
    const certs = await fresh()
    for (const name of ['a', 'b', 'c', 'd']) await certs.issue('user', name)
    await certs.dir.remove('user', 'b', 'key')
    await certs.dir.replace('user', 'c', 'key', await certs.dir.read('user', 'a', 'key'))
    await certs.dir.replace('user', 'd', 'key', 'rubbish')
    await certs.dir.create('user', 'e', 'crt', 'rubbish')
    const {certificates, unreadable} = await inspectDir(certs.dir, {kind: 'user'}, NOW_MS)
    expect(certificates.map(({name, key}) => [name, key])).toEqual([
      ['a', 'private'],
      ['b', 'missing'],
      ['c', 'other'],
      ['d', 'unusable'],
    ])
    expect(unreadable.map(({path}) => path)).toEqual([certs.dir.pathOf('user', 'e', 'crt')])
  })

  test('gives the authorities above a certificate, the nearest first', async () => {
    const certs = await fresh()
    await certs.issue('ca', 'inter.net', {signAs: NETWORK})
    const visi = await certs.issue('user', 'visi@demo.net', {signAs: 'inter.net'})
    const names = (await authoritiesAbove(certs.dir, visi)).map((ca) => factsOf(ca).name)
    expect(names).toEqual(['inter.net', NETWORK])
  })
})
