// Runs the registry server of a CGSE release, to compare with, behind the same interface as our own.
import {mkdtemp} from 'node:fs/promises'
import {connect} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {installedPeer, type PeerVersion, peerEnvironment} from '../../scripts/peers.ts'
import {lastingPorts} from './lasting-port.ts'
import {type Ports, type ServerKind, startProcess, type TestServer} from './server.ts'

export interface PeerServerOptions {
  /** Free ones when absent. */
  readonly ports?: Ports
  readonly cleanupIntervalS?: number
  readonly uniqueTypes?: boolean
}

/** Starts the release's server on SQLite. It listens on every interface of the machine: it cannot be told otherwise. */
export async function startPeerServer(version: PeerVersion, options: PeerServerOptions = {}): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-peer-'))
  const kind: ServerKind = {
    command: await installedPeer(version),
    args: (_dir, ports) => serverArguments(version, ports, options),
    env: peerEnvironment(dir),
    ready: async (_dir, _pid, ports) => ((await isOpen(ports.req)) ? ports : undefined),
  }
  return startProcess(kind, dir, options.ports ?? (await freePorts()))
}

function serverArguments(version: PeerVersion, ports: Ports, options: PeerServerOptions): string[] {
  const unique = options.uniqueTypes ? '--enforce-unique-service-types' : '--no-enforce-unique-service-types'
  return [
    ...['-m', 'egse.registry.server', 'start', '--db-path', 'registry.db'],
    ...['--req-port', `${ports.req}`, '--pub-port', `${ports.pub}`],
    ...(version === '0.7.3' ? [] : ['--hb-port', `${ports.hb}`]),
    ...['--cleanup-interval', `${options.cleanupIntervalS ?? 1}`],
    ...(version === '0.25.11' ? [unique] : []),
  ]
}

/** The peer takes no port 0. */
async function freePorts(): Promise<Ports> {
  const [req = 0, pub = 0, hb = 0] = await lastingPorts(3)
  return {req, pub, hb, rep: null}
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (open: boolean) => {
      socket.destroy()
      resolve(open)
    }
    socket.on('connect', () => end(true)).on('error', () => end(false))
  })
}
