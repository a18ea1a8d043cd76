import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {parseCertificate} from '../../src/pki/cert-files.ts'
import {makeCsr} from '../../src/pki/csr.ts'
import {issueInto} from '../../src/pki/issuer.ts'
import {newPrivateKey} from '../../src/pki/keys.ts'
import {decodeCertChange} from '../../src/registry/cert-change.ts'
import type {Asker} from '../../src/server/authorities.ts'
import {AHA_NETWORK} from '../support/aha.ts'
import {TestCell} from '../support/cell.ts'

const ADMIN: Asker = {actor: 'telepath/root', isAdmin: true, from: '10.0.0.1'}
const OTHER: Asker = {actor: 'telepath/signer', isAdmin: false, from: '10.0.0.2'}

let dir: string
let certs: CertDir
let cell: TestCell

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-authorities-'))
  certs = new CertDir(dir)
  const terms = {nowMs: Date.now(), ttlMs: 86_400_000, keyType: 'p256', replace: false} as const
  await issueInto(certs, {...terms, purpose: 'ca', name: AHA_NETWORK, signAs: undefined})
  await issueInto(certs, {...terms, purpose: 'host', name: `aha.${AHA_NETWORK}`, signAs: AHA_NETWORK})
  await issueInto(certs, {...terms, purpose: 'user', name: `root@${AHA_NETWORK}`, signAs: AHA_NETWORK})
  cell = await TestCell.open({network: AHA_NETWORK}, {}, {certs})
  for (const name of ['boss', `chief@${AHA_NETWORK}`]) {
    const {iden} = await cell.users.addUser({name}, 'test')
    await cell.users.setUserAdmin(iden, true, undefined, 'test')
  }
})
afterAll(() => rm(dir, {recursive: true}))

async function csr(name: string): Promise<string> {
  return makeCsr(name, await newPrivateKey('p256'), {isCa: false, alternativeNames: []})
}

async function sign(purpose: 'host' | 'user', name: string, asker: Asker, sans?: string): Promise<string> {
  const authorities = cell.parts.aha?.authorities
  return (await authorities?.sign({purpose, csr: await csr(name), signAs: undefined, sans}, asker)) ?? ''
}

async function changes(): Promise<readonly {readonly actor: string; readonly change: string}[]> {
  const entries = await cell.store.read(0, 1000)
  return entries.filter(({change}) => change.includes('cert:issue'))
}

describe('what is signed', () => {
  test('is an entry of the change log with who, what, from where and the serial, before it leaves', async () => {
    const before = (await changes()).length
    const certificate = parseCertificate(await sign('host', `00.axon.${AHA_NETWORK}`, OTHER), 'the answer')
    const [added, ...more] = (await changes()).slice(before)
    expect(more).toEqual([])
    expect(added?.actor).toBe('telepath/signer')
    expect(decodeCertChange(added?.change ?? '')).toMatchObject({
      purpose: 'host',
      name: `00.axon.${AHA_NETWORK}`,
      authority: AHA_NETWORK,
      serial: certificate.serialNumber.toLowerCase(),
      from: '10.0.0.2',
    })
    expect((await certs.certificate('host', `00.axon.${AHA_NETWORK}`)).serialNumber).toBe(certificate.serialNumber)
  })

  test('does not leave when it cannot be written', async () => {
    const before = (await changes()).length
    cell.changeLog.hold('test', 'the disk is full')
    await expect(sign('user', `visi@${AHA_NETWORK}`, OTHER)).rejects.toMatchObject({code: 'REG_READ_ONLY'})
    cell.changeLog.release('test')
    expect(await changes()).toHaveLength(before)
    expect(await certs.find('user', `visi@${AHA_NETWORK}`, 'crt')).toBe(undefined)
  })

  test.each([
    ['host', `aha.${AHA_NETWORK}`],
    ['user', `root@${AHA_NETWORK}`],
    ['user', `boss@${AHA_NETWORK}`],
    ['user', `chief@${AHA_NETWORK}`],
  ] as const)('as %s %s is for admins alone', async (purpose, name) => {
    await expect(sign(purpose, name, OTHER)).rejects.toMatchObject({code: 'REG_DENIED', telepath: 'AuthDeny'})
    const certificate = parseCertificate(await sign(purpose, name, ADMIN), 'the answer')
    expect(certificate.subject).toBe(`CN=${name}`)
  })

  test('never takes the place of a certificate whose key is here', async () => {
    const {serialNumber} = await certs.certificate('user', `root@${AHA_NETWORK}`)
    await sign('user', `root@${AHA_NETWORK}`, ADMIN)
    expect((await certs.certificate('user', `root@${AHA_NETWORK}`)).serialNumber).toBe(serialNumber)
  })

  test.each(['DNS:www.example.com', `DNS:aha.${AHA_NETWORK}`, 'IP:127.0.0.1', 'email:ops@demo.net'])(
    'with the further name %s is for admins alone',
    async (sans) => {
      const name = `01.axon.${AHA_NETWORK}`
      await expect(sign('host', name, OTHER, sans)).rejects.toMatchObject({code: 'REG_DENIED'})
      expect(await sign('host', name, ADMIN, sans)).toContain('BEGIN CERTIFICATE')
    },
  )

  test('may have the names of other hosts of the network', async () => {
    const pem = await sign('host', `02.axon.${AHA_NETWORK}`, OTHER, `DNS:axon.${AHA_NETWORK}`)
    const names = parseCertificate(pem, 'the answer').subjectAltName
    expect(names).toBe(`DNS:02.axon.${AHA_NETWORK}, DNS:axon.${AHA_NETWORK}`)
  })
})

describe('an authority', () => {
  test('is made once for those who ask at the same time, and is used', async () => {
    const authorities = cell.parts.aha?.authorities
    const before = (await changes()).length
    const [one, other] = await Promise.all([
      authorities?.ensure('lab.net', ADMIN),
      authorities?.ensure('lab.net', OTHER),
    ])
    expect(one).toBe(other)
    expect((await changes()).slice(before).map(({change}) => decodeCertChange(change))).toMatchObject([
      {purpose: 'ca', name: 'lab.net', authority: 'lab.net', from: '10.0.0.1'},
    ])
    expect(await authorities?.pem('lab.net')).toBe(one)
    const certificate = parseCertificate(await sign('host', 'cam.lab.net', OTHER), 'the answer')
    expect(certificate.issuer).toBe('CN=lab.net')
  })

  test.each(['', 'a b', '../cas/x', 'x'.repeat(65), 'a@b'])('is none by the name %j', async (name) => {
    const authorities = cell.parts.aha?.authorities
    await expect(authorities?.ensure(name, ADMIN)).rejects.toMatchObject({telepath: 'BadArg'})
    expect(await authorities?.pem(name)).toBe(undefined)
  })
})
