// A service and one of its users in one program. Needs a running registry: registry serve
//
//     node examples/client.ts [zmq://HOST:PORT]
import {RegistryClient, RegistryError} from '@devops-registry/cli'

const url = process.argv[2] ?? 'zmq://127.0.0.1:5556'

try {
  await using registry = await RegistryClient.connect(url)

  // Registered now, renewed from now on, registered again if the registry loses it, taken out at the end of the block.
  await using kept = registry.keep({name: 'cam1', type: 'camera', host: '127.0.0.1', port: 5000}, {ttlS: 10})
  await kept.ready()

  // Who only wants to talk to a camera asks for one that is healthy.
  const camera = await registry.discover('camera')
  console.log(`a camera listens at ${camera.host}:${camera.port}`)

  // Who wants to know them all watches: first those that are there, then what changes.
  const second = await registry.register({name: 'cam2', type: 'camera', host: '127.0.0.1', port: 5001})
  for await (const event of registry.watch({type: 'camera'}, {signal: AbortSignal.timeout(10_000)})) {
    if ('service' in event) console.log(`${event.kind} ${event.service.name}`)
    if (event.kind === 'synced') await registry.deregister(second)
    // Gone is what left without its event having been seen.
    if (event.kind === 'deregistered' || event.kind === 'gone') break
  }

  await registry.get(second)
} catch (error) {
  if (!(error instanceof RegistryError)) throw error
  console.log(`${error.code}: ${error.message.replace(/ cam2-\S+/, ' cam2')}`)
}
