import {randomInt} from 'node:crypto'
import {once} from 'node:events'
import {createServer} from 'node:net'

/** Below those that the system gives to whoever connects: a server that starts again finds it free. */
const [LOWEST, HIGHEST] = [20_000, 32_000]

/** Gives a port of the loopback interface that is free now, and that nobody is given by chance. */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST)
    const server = createServer()
    try {
      await once(server.listen(port, '127.0.0.1'), 'listening')
      return port
    } catch {
      // Somebody has it.
    } finally {
      server.close()
    }
  }
}
