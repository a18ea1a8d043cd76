// What all raw Telepath clients do: connect, say hello, call.
import {readFileSync} from 'node:fs'
import {createConnection, type Socket} from 'node:net'
import {connect as connectTls, createSecureContext, type SecureContext} from 'node:tls'
import {Decoder} from '../src/wire/msgpack/decode.ts'
import {encode} from '../src/wire/msgpack/encode.ts'
import type {Value} from '../src/wire/msgpack/value.ts'
import type {Target} from './telepath-load.ts'

const MAX_MESSAGE_BYTES = 1 << 20

type Where = Pick<Target, 'host' | 'port' | 'tls'>

/** Made once: reading keys costs more than a handshake. */
export function contextOf({tls}: Pick<Target, 'tls'>): SecureContext | undefined {
  if (tls === undefined) return undefined
  return createSecureContext({ca: readFileSync(tls.ca), cert: readFileSync(tls.cert), key: readFileSync(tls.key)})
}

export function connected({host, port, tls}: Where, secureContext?: SecureContext, session?: Buffer): Promise<Socket> {
  const plain = {host, port, noDelay: true}
  const socket = tls
    ? connectTls({
        ...plain,
        servername: tls.hostname,
        // The peers compare the name by themselves; a benchmark of the server has no need to.
        checkServerIdentity: () => undefined,
        ...(secureContext ? {secureContext} : {}),
        ...(session ? {session} : {}),
      })
    : createConnection(plain)
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once(tls ? 'secureConnect' : 'connect', () => resolve(socket))
  })
}

type Hello = Pick<Target, 'auth'> & {readonly name?: string}

/** Says hello and gives the session. */
export async function greeted(socket: Socket, {auth, name = '*'}: Hello): Promise<string> {
  const given = auth ? [auth.user, {passwd: auth.passwd}] : null
  const answer = await asked(socket, encode(['tele:syn', {auth: given, vers: [3, 0], name}]))
  const {retn, sess} = answer[1] as {retn: [boolean, unknown]; sess?: string}
  if (retn[0] === true && sess) return sess
  throw new Error(`the server refused the login: ${JSON.stringify(retn)}`)
}

/** Makes a call on a link on which nothing else is under way, and gives its value. Not for streams. */
export async function called(socket: Socket, sess: string, todo: Value): Promise<Value> {
  const [, body] = await asked(socket, encode(['t2:init', {todo, name: null, sess}]))
  const [isGood, value] = (body as {retn: [boolean, Value]}).retn
  if (isGood) return value
  throw new Error(`the server refused the call: ${JSON.stringify(value)}`)
}

/** Sends a message and gives the next one that comes. */
function asked(socket: Socket, message: Uint8Array): Promise<readonly Value[]> {
  const decoder = new Decoder({maxBytes: MAX_MESSAGE_BYTES})
  socket.write(message)
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('the server closed the link instead of an answer'))
    socket.once('close', onClose)
    socket.on('data', function take(chunk: Buffer) {
      decoder.push(chunk)
      const next = decoder.next()
      if (next === undefined) return
      socket.off('data', take).off('close', onClose)
      resolve(next.value as readonly Value[])
    })
  })
}
