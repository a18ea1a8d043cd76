import {RegistryError} from '../../base/errors.ts'
import type {Value} from '../msgpack/value.ts'
import type {Link} from './link.ts'
import {itemErrorMessage, itemMessage, STREAM_END_MESSAGE, STREAM_MESSAGE} from './messages.ts'
import type {ServerCall} from './server-call.ts'

/** After so many bytes of a stream the event loop gets a turn, however fast the peer takes them. */
const TURN_BYTES = 64 * 1024

/**
 * Sends a stream, no faster than the peer takes it, and its end. Never rejects: what the stream throws goes to the peer, by way of `noted`. A
 * stream is returned early when the link ends or the call is aborted; the peer then gets an error, because it must not take it for whole.
 */
export async function sendStream(
  link: Link,
  items: AsyncIterable<Value>,
  call: ServerCall,
  noted: (error: unknown) => unknown,
): Promise<void> {
  link.send(STREAM_MESSAGE)
  let end = STREAM_END_MESSAGE
  try {
    await sendItems(link, items, call)
  } catch (error) {
    end = itemErrorMessage(noted(error))
  }
  if (call.isAborted) end = itemErrorMessage(stopped())
  call.abandon()
  link.send(end)
}

async function sendItems(link: Link, items: AsyncIterable<Value>, call: ServerCall): Promise<void> {
  const iterator = call.read(items)
  let turnBytes = 0
  while (!link.isEnded && !call.isAborted) {
    const next = await iterator.next()
    if (next.done === true) {
      call.finished()
      return
    }
    const message = itemMessage(next.value)
    link.send(message)
    turnBytes += message.length
    if (turnBytes < TURN_BYTES) continue
    turnBytes = 0
    // Both: a socket that has taken everything at once says that it was full, and drained, without a turn in between.
    await nextTurn()
    if (link.isFull) await link.drained()
  }
}

function stopped(): RegistryError {
  return new RegistryError('REG_LINK_CLOSED', 'the service is shutting down', {telepath: 'IsFini'})
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
