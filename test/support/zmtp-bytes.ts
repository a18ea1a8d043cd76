// Pieces of the ZMTP 3 wire protocol, for peers that do not keep to it.
import {once} from 'node:events'
import {connect, type Socket} from 'node:net'

/** The greeting of a peer without security. */
export const GREETING = Buffer.concat([
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0]),
  Buffer.from('NULL'.padEnd(20, '\0')),
  Buffer.alloc(32),
])

/** The READY command that ends the handshake for a socket of this type. */
export function ready(socketType: string): Buffer {
  const name = Buffer.from('Socket-Type')
  const value = Buffer.from(socketType)
  const body = Buffer.concat([
    Buffer.from([5]),
    Buffer.from('READY'),
    Buffer.from([name.length]),
    name,
    Buffer.from([0, 0, 0, value.length]),
    value,
  ])
  return Buffer.concat([Buffer.from([0x04, body.length]), body])
}

/** One frame as it stands on the wire; `length` may lie. */
export function frame(body: Uint8Array, flags = 0, length = body.length): Buffer {
  const long = Buffer.alloc(9)
  long[0] = flags | 0x02
  long.writeBigUInt64BE(BigInt(length), 1)
  return Buffer.concat([length < 256 ? Buffer.from([flags & ~0x02, length]) : long, body])
}

/** Connects without saying anything; what comes is thrown away and to be cut off is no error. */
export async function openTcp(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.resume()
  await once(socket, 'connect')
  return socket
}

/**
 * Connects as a socket of this type and resolves when frames may be sent: libzmq cuts off a peer that sends them before it has got
 * READY. Fails when the server closes instead.
 */
export async function openZmtp(port: number, socketType: string): Promise<Socket> {
  const socket = await openTcp(port)
  const greeted = new Promise<void>((resolve, reject) => {
    let came = Buffer.alloc(0)
    const take = (bytes: Buffer) => {
      came = Buffer.concat([came, bytes])
      if (!came.includes('READY')) return
      socket.off('data', take)
      resolve()
    }
    socket.on('data', take)
    socket.once('close', () => reject(new Error(`the server wants no ${socketType}`)))
  })
  socket.write(Buffer.concat([GREETING, ready(socketType)]))
  await greeted
  return socket
}
