// The built server as the AHA of a network, with keys that cost no time.
import {mkdtemp} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {openTelepath} from '../../src/client/telepath/open.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {issueInto} from '../../src/pki/issuer.ts'
import {type ServerOptions, startServer, type TestServer} from './server.ts'

const NETWORK = 'demo.net'
const HOST = `aha.${NETWORK}`

export async function startAhaServer(
  conf: Readonly<Record<string, unknown>> = {},
  options: Pick<ServerOptions, 'env' | 'ports'> = {},
): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-aha-server-'))
  const certs = new CertDir(join(dir, 'certs'))
  const terms = {ttlMs: 86_400_000, nowMs: Date.now(), keyType: 'p256', replace: false} as const
  await issueInto(certs, {...terms, purpose: 'ca', name: NETWORK, signAs: undefined})
  await issueInto(certs, {...terms, purpose: 'host', name: HOST, signAs: NETWORK})
  await issueInto(certs, {...terms, purpose: 'user', name: `root@${NETWORK}`, signAs: NETWORK})
  const listen = `ssl://127.0.0.1:0?hostname=${HOST}`
  const names = {'aha:network': NETWORK, 'dns:name': HOST}
  const listeners = {'dmon:listen': `${listen}&ca=${NETWORK}`, 'provision:listen': listen}
  return startServer({...options, dir, conf: {...names, ...listeners, ...conf}})
}

/** Registers services at a server that is an AHA; they are offline as soon as this returns. */
export async function registerAt({dir}: TestServer, names: readonly string[]): Promise<void> {
  await using root = await openTelepath(`cell://${dir}`)
  const info = {urlinfo: {scheme: 'ssl', host: '127.0.0.1', port: 4000}}
  for (const name of names) await root.call('addAhaSvc', {args: [name, info, NETWORK]})
}
