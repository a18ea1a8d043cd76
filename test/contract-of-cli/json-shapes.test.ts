import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {RegistryClient} from '../../src/client/registry-client.ts'
import {runCli} from '../support/cli.ts'
import {startServer, type TestServer} from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
  await using client = new RegistryClient(`zmq://127.0.0.1:${server.ports.req}`)
  await client.register({
    ...{id: 'cam-1', name: 'cam1', type: 'camera', host: '127.0.0.1', port: 5000},
    ...{tags: ['night'], metadata: {building: '4'}},
  })
})
afterAll(() => server[Symbol.asyncDispose]())

const LINES = [
  '--version',
  'help',
  'help service show',
  'autocomplete',
  'autocomplete bash',
  'config show DIR',
  'config explain bind --dir DIR',
  'config validate DIR',
  'status',
  'service list',
  'service show cam-1',
  'service discover camera',
  'service register --id cam-2 --name cam2 --port 5001',
  'service renew cam-2',
  'service deregister cam-2',
  'service wait --type camera',
  'service wait --type nothing --timeout 500ms',
  'service watch --for 500ms',
  'service show nothing',
  'service list --nonsense',
]

// Programs read these. A difference here is a line in the changelog; fields are added, not renamed.
describe('what --json prints keeps its shape', () => {
  test.each(LINES)('%s', async (line) => {
    const args = `${line.replaceAll('DIR', server.dir)} --json`.split(' ')
    const {status, stdout} = await runCli(args, {env: {REGISTRY_DIR: server.dir}})
    const values = line.startsWith('service watch') ? stdout.trimEnd().split('\n') : [stdout]
    const shape = values.map((text) => JSON.stringify(shapeOf(JSON.parse(text)), undefined, 2)).join('\n')
    await expect(`$ registry ${line}\n# status ${status}\n${shape}\n`).toMatchFileSnapshot(
      `./shapes/${line
        .toLowerCase()
        .replaceAll(/[^a-z0-9]+/g, '-')
        .replace(/^-/, '')}.txt`,
    )
  })
})

/** Puts the type in the place of every value; lists are known by the distinct shapes of their elements. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value))
    return [...new Set(value.map((item) => JSON.stringify(shapeOf(item))))].toSorted().map((text) => JSON.parse(text))
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shapeOf(item)]))
}
