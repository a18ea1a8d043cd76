// A program that uses the client's sockets and closes them; it must then end by itself. Argument: the port of a request server.
import {RegistryError} from '../../../src/base/errors.ts'
import {ClientSocket} from '../../../src/wire/zeromq/client-socket.ts'
import {EventSocket} from '../../../src/wire/zeromq/event-socket.ts'
import {openRouter} from './support.ts'

const hour = 3_600_000
const client = new ClientSocket({address: `tcp://127.0.0.1:${process.argv[2]}`, framing: 'envelope'})
console.log(`${await client.request('{}', {timeoutMs: hour, connectMs: hour - 1})}`)
const {router, port} = await openRouter()
const deaf = new ClientSocket({address: `tcp://127.0.0.1:${port}`, framing: 'envelope'})
const codeOf = (error: unknown) => (error instanceof RegistryError ? error.code : error)
let code: unknown
// Until it is connected nobody is there.
do code = await deaf.request('{}', {timeoutMs: 200}).catch(codeOf)
while (code === 'REG_UNREACHABLE')
console.log(code)
const unreached = deaf.request('{}', {timeoutMs: hour}).catch(() => {})
// Nothing listens for events there: it goes on trying until it is closed.
const events = new EventSocket({address: 'tcp://127.0.0.1:1'})
await Promise.all([client.close(), deaf.close(), events.close()])
await unreached
router.close()
console.log('closed')
