// A Telepath server in a process of its own: `daemon` is ours with a trivial call above it, `bare` decodes and encodes the same messages and does
// nothing else. `telepath-server.ts daemon|bare [CERTIFICATES]`; a line `?` is answered by its figures, a line `gone` when no session is left.
import {randomBytes} from 'node:crypto'
import {createServer, type Server, type Socket} from 'node:net'
import {createInterface} from 'node:readline'
import {createServer as createTlsServer, type TlsOptions} from 'node:tls'
import {systemClock} from '../src/base/clock.ts'
import {createLog} from '../src/base/log.ts'
import {CertDir} from '../src/pki/cert-dir.ts'
import {clientCertificate} from '../src/pki/peer-certificate.ts'
import {hostKeys, ServerTls} from '../src/pki/server-tls.ts'
import {Decoder} from '../src/wire/msgpack/decode.ts'
import {encode} from '../src/wire/msgpack/encode.ts'
import type {Value} from '../src/wire/msgpack/value.ts'
import {Daemon} from '../src/wire/telepath/daemon.ts'
import type {Share} from '../src/wire/telepath/share.ts'
import {HOST, METHOD, NETWORK} from './telepath-names.ts'

const [kind, certs] = process.argv.slice(2)
const ANSWER = '0123456789abcdef0123456789abcdef'
const AT = {host: '127.0.0.1', port: 0}

const tls =
  certs === undefined
    ? undefined
    : (await ServerTls.open(() => hostKeys(new CertDir(certs), HOST, NETWORK), 'required')).options
let sessions = 0
let onNone = (): void => {}

const port = await (kind === 'bare' ? listenBare() : listenDaemon())
console.log(JSON.stringify({port}))
for await (const line of createInterface(process.stdin)) {
  if (line.includes('gone')) await none()
  const {user, system} = process.cpuUsage()
  console.log(JSON.stringify({cpuUs: user + system, rssBytes: process.memoryUsage.rss(), sessions}))
}
process.exit()

function none(): Promise<void> {
  return new Promise((resolve) => {
    onNone = resolve
    if (sessions === 0) resolve()
  })
}

function left(): void {
  if (--sessions === 0) onNone()
}

async function listenDaemon(): Promise<number> {
  const share: Share = {
    info: {classes: ['synapse.lib.cell.CellApi'], methods: new Map([[METHOD, {isGenerator: false}]])},
    call: () => ({kind: 'value', value: ANSWER}),
  }
  const daemon = new Daemon({
    greet: () => {
      sessions++
      return {share, closed: left}
    },
    log: createLog({level: 'WARNING', structured: false, clock: systemClock, write: (text) => console.error(text)}),
    synapseVersion: [2, 256, 0],
  })
  if (tls === undefined) return (await daemon.listenTcp(AT)).port
  const isRevoked = (): boolean => false
  const certificate = (socket: Parameters<typeof clientCertificate>[0]) =>
    clientCertificate(socket, Date.now(), {isRevoked})
  return (await daemon.listenTls({...AT, tls: {options: tls, certificate}})).port
}

function listenBare(): Promise<number> {
  const server = tls === undefined ? createServer(serve) : bareTls(tls)
  return new Promise((resolve) => {
    server.listen(AT, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

function bareTls(options: TlsOptions): Server {
  return createTlsServer(options, serve)
}

function serve(socket: Socket): void {
  socket.setNoDelay(true)
  const decoder = new Decoder({maxBytes: 1 << 26})
  socket.on('data', (chunk: Buffer) => {
    decoder.push(chunk)
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) answer(socket, next.value)
  })
  socket.on('error', () => {})
}

function answer(socket: Socket, message: Value): void {
  const [type, {todo}] = message as [string, {todo: [string]}]
  if (type === 't2:init' && todo[0] === METHOD) {
    socket.write(encode(['t2:fini', {retn: [true, ANSWER]}]))
    return
  }
  sessions++
  socket.on('close', left)
  socket.write(encode(['tele:syn', {vers: [3, 0], retn: [true, null], sess: randomBytes(16).toString('hex')}]))
}
