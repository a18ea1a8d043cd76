// The thread that owns the PUB socket. In: settings as worker data, then flat batches of topic and body, then `close`. Out: first how the
// start went, then one message per batch when all of it is with libzmq.
import assert from 'node:assert/strict'
import {parentPort, workerData} from 'node:worker_threads'
import {Context, Publisher} from 'zeromq'
import {messageOf, RegistryError} from '../../base/errors.ts'
import {SpentMemory} from '../../base/spent-memory.ts'
import {bindSocket, closeSocket, isIpv6, SERVER_SOCKET} from './open-socket.ts'

export interface PublisherSettings {
  readonly address: string
  readonly hwm: number
  readonly handshakeMs: number
}

export type Started =
  | {readonly kind: 'bound'; readonly port: number}
  | {readonly kind: 'failed'; readonly message: string; readonly reason: unknown}

/** The longest message that a subscriber may send, bytes: subscriptions are all it has to say, and our topics are short. */
const SUBSCRIPTION_BYTES = 256
/** How long events may take to leave when the publisher closes, ms. */
const LINGER_MS = 400
/** libzmq takes in subscribers, subscriptions and departures when it sends, and else when it is asked; it is asked this often, ms. */
const IDLE_MS = 100

async function main(): Promise<void> {
  assert(parentPort, 'this module is a worker')
  const port = parentPort
  const {address, hwm, handshakeMs}: PublisherSettings = workerData
  const socket = new Publisher({
    ...SERVER_SOCKET,
    // An I/O thread of its own: delivering events to many takes nothing away from requests.
    context: new Context(),
    maxMessageSize: SUBSCRIPTION_BYTES,
    sendHighWaterMark: hwm,
    handshakeInterval: handshakeMs,
    ipv6: isIpv6(address),
  })
  try {
    port.postMessage({kind: 'bound', port: await bindSocket(socket, address)} satisfies Started)
  } catch (error) {
    const reason = error instanceof RegistryError ? error.info['reason'] : undefined
    port.postMessage({kind: 'failed', message: messageOf(error), reason} satisfies Started)
    return
  }
  const spent = new SpentMemory()
  const idle = setInterval(() => void socket.writable, IDLE_MS)
  port.on('message', (batch: 'close' | string[]) => {
    if (batch === 'close') {
      clearInterval(idle)
      port.close()
      void closeSocket(socket, LINGER_MS)
      return
    }
    for (let i = 0; i < batch.length; i += 2) void socket.send([batch[i] as string, batch[i + 1] as string])
    port.postMessage(0)
    spent.worked()
  })
}

await main()
