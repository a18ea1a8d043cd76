// Calls a service by Telepath: a registry, or any Synapse service.
//
//     node examples/telepath.ts cell://DIR
//     node examples/telepath.ts aha://axon...        by name, as the user who was enrolled on this machine
import {openTelepath, RegistryError, withTeleEnv} from '@devops-registry/cli'

const url = process.argv[2] ?? 'aha://axon...'

try {
  // Certificates, AHA servers and aliases of the user.
  await using env = await withTeleEnv({onWarning: console.warn})
  await using service = await openTelepath(url, {env, signal: AbortSignal.timeout(10_000)})
  console.log(`Synapse ${service.peerVersion.join('.')}, ${service.info.methods.size} methods`)

  // A call: arguments by position and by name, a limit of its own.
  const user = await service.call('getUserDefByName', {args: ['root'], timeoutMs: 5000})
  if (user instanceof Object && 'name' in user) console.log(`there is a user ${user['name']}`)

  // A stream. Leaving the loop ends it at the service.
  const tasks: unknown[] = []
  for await (const task of service.stream('getTasks', {kwargs: {timeout: 1}})) {
    if (tasks.push(task) === 10) break
  }
  console.log(`${tasks.length} tasks run`)

  await service.call('getFullyLost')
} catch (error) {
  if (!(error instanceof RegistryError)) throw error
  console.log(`${error.code} (${error.telepath}): ${error.message}`)
}
