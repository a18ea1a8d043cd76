/** A web server of HTTPS on loopback, with a certificate of its own making, for what is fetched from one. */
import {mkdtemp, readFile, rm} from 'node:fs/promises'
import {createServer} from 'node:https'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {issueInto} from '../../src/pki/issuer.ts'

export interface WebPages extends AsyncDisposable {
  /** What is served, by path; all else is not there. */
  readonly pages: Map<string, Uint8Array>
  readonly port: number
}

export async function serveWebPages(): Promise<WebPages> {
  const home = await mkdtemp(join(tmpdir(), 'registry-web-'))
  const certs = new CertDir(join(home, 'certs'))
  const terms = {nowMs: Date.now(), ttlMs: 3_600_000, keyType: 'p256', replace: false, purpose: 'host'} as const
  await issueInto(certs, {...terms, purpose: 'ca', name: 'web', signAs: undefined})
  await issueInto(certs, {...terms, name: 'localhost', signAs: 'web'})
  const file = (ending: string) => readFile(join(home, 'certs/hosts', `localhost.${ending}`))
  const pages = new Map<string, Uint8Array>()
  const web = createServer({cert: await file('crt'), key: await file('key')}, (request, response) => {
    const page = pages.get(new URL(request.url ?? '', 'https://x').pathname)
    response.writeHead(page === undefined ? statusOf(request.url ?? '') : 200).end(page)
  })
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
  return {
    pages,
    port: (web.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      web.closeAllConnections()
      web.close()
      await rm(home, {recursive: true})
    },
  }
}

/** Of what is no page. */
function statusOf(url: string): number {
  return url.includes('/moved') ? 302 : 404
}
