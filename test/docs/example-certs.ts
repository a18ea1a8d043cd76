// What the examples of the commands for certificates find in the user's home.
import {copyFile, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {CertDir} from '../../src/pki/cert-dir.ts'
import type {Purpose} from '../../src/pki/certificate-facts.ts'
import {DEFAULT_TTL_MS, issueInto} from '../../src/pki/issuer.ts'
import {requestInto} from '../../src/pki/request.ts'

const NETWORK = 'demo.net'
const HOSTS = ['aha.demo.net', '00.axon.demo.net', 'web.demo.net']
const USER = 'visi@demo.net'
/** Commands that work on certificates that are there; the others make them. */
const NEEDS_ALL = ['p12', 'revoke', 'renew', 'check', 'show', 'list']

/** Makes the certificate directories, and the files that a user got from elsewhere, anew for the examples of one command. */
export async function prepareCerts(home: string, verb: string): Promise<void> {
  const own = new CertDir(join(home, '.syn', 'certs'))
  const dirs = [own, ...['axon', 'cell'].map((name) => new CertDir(join(home, name, 'certs')))]
  for (const dir of dirs) {
    await rm(dir.paths[0], {recursive: true, force: true})
    await issue(dir, 'ca', NETWORK)
  }
  if (NEEDS_ALL.includes(verb)) for (const name of HOSTS) await issue(own, 'host', name)
  if (NEEDS_ALL.includes(verb) || verb === 'csr') await issue(own, 'user', USER)
  await makeReceived(home, own)
}

/** Requests of others, the answer of an authority, the root of a company, a passphrase. */
async function makeReceived(home: string, own: CertDir): Promise<void> {
  const other = new CertDir(join(home, 'other'))
  await rm(other.paths[0], {recursive: true, force: true})
  const order = {useKey: false, keyType: 'p256', alternativeNames: [], replace: false} as const
  const ofHost = await requestInto(other, {purpose: 'host', name: '00.axon.demo.net', ...order})
  const ofUser = await requestInto(other, {purpose: 'user', name: USER, ...order})
  await copyFile(ofHost.request, join(home, '00.axon.demo.net.csr'))
  await copyFile(ofUser.request, join(home, 'request.csr'))
  await issue(other, 'ca', 'company')
  await copyFile(other.pathOf('ca', 'company', 'crt'), join(home, 'company-root.pem'))
  await issue(own, 'host', 'answer')
  await copyFile(own.pathOf('host', 'answer', 'crt'), join(home, 'answer.pem'))
  for (const ending of ['crt', 'key'] as const) await own.remove('host', 'answer', ending)
  await writeFile(join(home, 'passphrase'), 'not so secret\n', {mode: 0o600})
}

async function issue(dir: CertDir, purpose: Purpose, name: string): Promise<void> {
  const signAs = purpose === 'ca' ? undefined : NETWORK
  const terms = {nowMs: Date.now(), ttlMs: DEFAULT_TTL_MS}
  await issueInto(dir, {purpose, name, signAs, keyType: 'p256', replace: false, ...terms})
}
