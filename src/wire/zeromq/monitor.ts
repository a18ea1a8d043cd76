import type {Socket} from 'zeromq'

/** How far a connecting socket has come. */
export type Reach = 'nothing' | 'tcp' | 'zmtp'

export interface ConnectionListener {
  /** `tcp`: something accepted the connection. `zmtp`: messages can flow. `nothing`: the connection ended, or was refused before. */
  readonly onReach: (reach: Reach) => void
  /** libzmq has given this peer up because it broke the protocol; only a new socket will connect again. */
  readonly onBroken: () => void
}

/** libzmq says in the same moment as the end of a connection whether it will try again; after this long it has not. */
const GIVEN_UP_MS = 500

/** Follows the one connection of a client's socket; resolves when the socket, closed by its owner, is gone. */
export async function followConnection(socket: Socket, listener: ConnectionListener): Promise<void> {
  const {events} = socket
  let broken: NodeJS.Timeout | undefined
  for (;;) {
    const {type} = await events.receive()
    if (type === 'end') break
    if (type === 'connect') listener.onReach('tcp')
    else if (type === 'handshake') listener.onReach('zmtp')
    else if (type === 'connect:retry') clearTimeout(broken)
    else if (type === 'disconnect') {
      clearTimeout(broken)
      broken = setTimeout(listener.onBroken, GIVEN_UP_MS)
      listener.onReach('nothing')
    }
  }
  clearTimeout(broken)
}
