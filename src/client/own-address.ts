import {createSocket} from 'node:dgram'
import {lookup} from 'node:dns/promises'
import {messageOf, RegistryError} from '../base/errors.ts'
import type {RegistryAddress} from './url.ts'

/**
 * Finds the address of this machine that the registry, and so probably others, sees: the one that the system would send from. Sends
 * nothing, and nothing need be there.
 *
 * @throws RegistryError `REG_UNREACHABLE` when the host's name cannot be resolved or no way leads there.
 */
export async function ownAddressTowards({host, port}: RegistryAddress): Promise<string> {
  try {
    const {address, family} = await lookup(host)
    return await sendingAddress(address, port, family === 6 ? 'udp6' : 'udp4')
  } catch (cause) {
    throw unknown(host, cause)
  }
}

function sendingAddress(address: string, port: number, type: 'udp4' | 'udp6'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(type)
    const end = (then: () => void) => {
      then()
      socket.close()
    }
    socket.on('error', (error) => end(() => reject(error)))
    // Connecting a datagram socket only chooses the way.
    socket.connect(port, address, () => end(() => resolve(socket.address().address)))
  })
}

function unknown(host: string, cause: unknown): RegistryError {
  const text = `cannot find this machine's address towards ${host}: ${messageOf(cause)}`
  return new RegistryError('REG_UNREACHABLE', text, {info: {host}, hints: ['give it with --host'], cause})
}
