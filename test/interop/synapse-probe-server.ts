// A server with the probe's methods, for the tests of the real client: our daemon, or the real one.
import {cp, mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {TLSSocket} from 'node:tls'
import {systemClock} from '../../src/base/clock.ts'
import {RegistryError} from '../../src/base/errors.ts'
import {createLog} from '../../src/base/log.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {clientCertificate} from '../../src/pki/peer-certificate.ts'
import {hostKeys, ServerTls} from '../../src/pki/server-tls.ts'
import {Daemon} from '../../src/wire/telepath/daemon.ts'
import type {DaemonLimits} from '../../src/wire/telepath/limits.ts'
import type {Greeting, Opened} from '../../src/wire/telepath/share.ts'
import {ProbeShare} from './synapse-probe.ts'
import {SynapseService} from './synapse-world.ts'

/** With REGISTRY_INTEROP_PEER=python the same tests run against the real server: that proves the tests. */
export const againstSynapse = process.env['REGISTRY_INTEROP_PEER'] === 'python'

export const NETWORK = 'loop.test'
const PASSWD = 'secret'

export interface ProbeServer extends AsyncDisposable {
  /** `tcp` with a password, `unix`, and `tls` for the user `root` with a certificate. */
  readonly urls: Readonly<Record<'tcp' | 'unix' | 'tls', string>>
  stop(): Promise<void>
  /** On the same addresses. */
  start(): Promise<void>
  log(): string
}

/** Starts one; `certs` is a directory with the certificates of the network, of the host `probe.<network>` and of its users. */
export function openProbe(certs: string, limits: Partial<DaemonLimits> = {}): Promise<ProbeServer> {
  return againstSynapse ? realProbe(certs) : ownProbe(certs, limits)
}

async function ownProbe(certs: string, limits: Partial<DaemonLimits>): Promise<ProbeServer> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-probe-'))
  const path = join(dir, 'sock')
  const tls = await ServerTls.open(() => hostKeys(new CertDir(certs), `probe.${NETWORK}`, NETWORK), 'required')
  const lines: string[] = []
  const log = createLog({level: 'DEBUG', structured: false, clock: systemClock, write: (line) => lines.push(line)})
  const listened = async (ports: {readonly tcp: number; readonly tls: number}) => {
    const daemon = new Daemon({greet: greeting(), log, limits, synapseVersion: [2, 256, 0]})
    const certificate = (socket: TLSSocket) => clientCertificate(socket, Date.now(), {isRevoked: () => false})
    const tcp = await daemon.listenTcp({host: '127.0.0.1', port: ports.tcp})
    const secured = await daemon.listenTls({
      host: '127.0.0.1',
      port: ports.tls,
      tls: {options: tls.options, certificate},
    })
    await daemon.listenUnix(path)
    return {daemon, ports: {tcp: tcp.port, tls: secured.port}}
  }
  let running = await listened({tcp: 0, tls: 0})
  return {
    urls: {
      tcp: `tcp://root:${PASSWD}@127.0.0.1:${running.ports.tcp}/`,
      unix: `unix://${path}`,
      tls: `ssl://root@probe.${NETWORK}:${running.ports.tls}/`,
    },
    stop: () => running.daemon.stop({graceMs: 1000}),
    start: async () => {
      running = await listened(running.ports)
    },
    log: () => lines.join('\n'),
    async [Symbol.asyncDispose]() {
      await running.daemon.stop({graceMs: 0})
      await rm(dir, {recursive: true, force: true})
    },
  }
}

/** Lets in whom the real one lets in: root by its password, by its certificate, or by the UNIX socket. */
function greeting(): (greeting: Greeting) => Opened {
  const share = new ProbeShare()
  return ({auth, peer}) => {
    const name =
      peer.certificate?.name.replace(`@${NETWORK}`, '') ?? auth?.user ?? (peer.family === 'unix' ? 'root' : '')
    if (name === '') throw new RegistryError('REG_DENIED', 'nobody is let in without a name')
    if (name !== 'root') throw new RegistryError('REG_DENIED', `there is no user ${name}`, {telepath: 'NoSuchUser'})
    if (peer.family === 'tcp' && auth?.passwd !== PASSWD) throw new RegistryError('REG_DENIED', 'the password is wrong')
    return {share, user: {iden: '0'.repeat(32), name}}
  }
}

async function realProbe(certs: string): Promise<ProbeServer> {
  const service = await SynapseService.start('probe', {
    network: NETWORK,
    conf: {'auth:passwd': PASSWD, 'aha:network': NETWORK},
    also: [`ssl://127.0.0.1:0?hostname=probe.${NETWORK}&ca=${NETWORK}`],
    prepare: (dir) => cp(certs, join(dir, 'certs'), {recursive: true}),
  })
  return {
    urls: {
      tcp: service.tcpUrl,
      unix: service.cellUrl,
      tls: `ssl://root@probe.${NETWORK}:${service.ports.also[0]}/`,
    },
    stop: async () => {
      await service.stop()
    },
    start: () => service.start(),
    log: () => service.log(),
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  }
}
