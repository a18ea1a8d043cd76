import {mkdir, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {lockCellDir} from '../../src/cell/dirs.ts'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {registerAt, startAhaServer} from '../support/aha-server.ts'
import {runCli} from '../support/cli.ts'
import {LeadPair} from '../support/lead-pair.ts'
import {makeBackup} from '../support/made-backup.ts'
import {PatientClient} from '../support/patient-client.ts'
import {startServer, type TestServer} from '../support/server.ts'

let server: TestServer
/** For what only an AHA can do. */
let aha: TestServer
let pair: LeadPair
beforeAll(async () => {
  server = await startServer()
  pair = await LeadPair.start()
  await mkdir(join(server.dir, 'syn'))
  await writeFile(join(server.dir, 'syn', 'telepath.yaml'), `version: 1\naha:servers: ['${pair.ahaUrl}']\n`)
  await makeStopped(join(server.dir, 'stopped'))
  await makeBackup(join(server.dir, 'whole'))
  await makeBackup(join(server.dir, 'damaged'))
  await makeBackup(join(server.dir, 'shelf', '01'))
  await makeBackup(join(server.dir, 'shelf', '02'))
  await writeFile(join(server.dir, 'damaged', 'registry.db'), 'x')
  aha = await startAhaServer()
  await registerAt(aha, ['00.axon', '01.axon'])
  await using client = new PatientClient(`zmq://127.0.0.1:${server.ports.req}`)
  await client.register({
    ...{id: 'cam-1', name: 'cam1', type: 'camera', host: '127.0.0.1', port: 5000},
    ...{tags: ['night'], metadata: {building: '4'}},
  })
})
afterAll(async () => {
  for (const made of ['made', 'tmp']) await rm(`${server.dir}-${made}`, {recursive: true, force: true})
  await server[Symbol.asyncDispose]()
  await aha[Symbol.asyncDispose]()
  await pair[Symbol.asyncDispose]()
})

/** A directory as a server leaves it that stopped before it had anything. */
async function makeStopped(dir: string): Promise<void> {
  await using cell = await lockCellDir(dir)
  await using store = new SqliteStore(cell.storePath)
  await store.open()
}

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
  'service watch --since 0 --for 500ms',
  'service maintenance on cam-1 --reason lens',
  'service maintenance off cam-1',
  'user add visi --allow axon',
  'user list',
  'user show visi',
  'user set visi --admin',
  'user allow visi health',
  'user deny visi health --yes',
  'user passwd visi --clear --yes',
  'role add keepers --rule axon',
  'role list',
  'role show keepers',
  'role set keepers --no-rules --yes',
  'role allow keepers health',
  'role deny keepers health --dry-run',
  'user grant visi keepers',
  'user revoke visi keepers --dry-run',
  'apikey add k --user visi --expires-in 1h',
  'apikey list --user visi',
  'apikey remove k --user visi --yes',
  'role remove keepers --yes',
  'user remove visi --dry-run',
  'user show nobody',
  'pool add pool00.axon --service 00.axon',
  'pool add pool00.axon',
  'pool list',
  'pool show pool00.axon',
  'pool show nothing',
  'pool set pool00.axon --add 01.axon --remove 00.axon',
  'pool set pool00.axon',
  'pool remove pool00.axon --yes',
  'query --call getCellType',
  'query --call getTasks',
  'query --call nothing',
  'status --dir AHA',
  'status zmq://127.0.0.1:1',
  'promote',
  'demote',
  'freeze --max 60s',
  'freeze',
  'resume',
  'status aha://cortex...',
  'promote aha://01.cortex... --dry-run',
  'promote aha://01.cortex... --failure --yes',
  'demote aha://cortex...',
  'trim aha://cortex... --dry-run',
  'trim --keep 2 --yes --dir DIR',
  'trim aha://cortex... --consumer aha://00.search... --yes',
  'service show nothing',
  'service list --nonsense',
  'cert ca demo.net --key p256 --dir DIR',
  'cert host aha.demo.net --key p256 --dir DIR',
  'cert user visi@demo.net --key p256 --dir DIR',
  'cert code signer --key p256 --dir DIR',
  'cert csr 00.axon.demo.net --kind host --key p256 --dir DIR',
  'cert sign DIR/certs/hosts/00.axon.demo.net.csr --kind host --dir DIR',
  'cert import DIR/certs/cas/demo.net.crt --name again --dir DIR',
  'cert p12 visi@demo.net --passphrase-file DIR/cell.guid --dir DIR',
  'cert list --dir DIR',
  'cert show aha.demo.net --dir DIR',
  'cert check --dir DIR',
  'cert renew --dir DIR',
  'cert renew aha.demo.net --now --dir DIR',
  'cert revoke visi@demo.net --yes --dir DIR',
  'cert crl demo.net --dir DIR',
  'cert user visi@demo.net --dir DIR',
  'provision service 00.axon --user own',
  'provision service 01.axon --mirror axon --expires never',
  'provision user visi',
  'provision list',
  'clone 01.aha.demo.net',
  'provision revoke 00.axon --yes',
  'backup DIR/stopped DIR-made',
  'backup DIR DIR-backup',
  'backup verify DIR/whole',
  'backup verify DIR/damaged',
  'backup verify DIR',
  'backup list DIR/shelf',
  'backup show DIR/whole',
  'backup show DIR/whole --files',
  'backup prune DIR/shelf --keep-last 1 --dry-run',
  'livebackup --name nightly',
  'livebackup --timeout 30s --name nightly',
  'livebackup --stream DIR-tmp/fetched --name 01',
  'livebackup --archive DIR-tmp/fetched.tar.zst',
  'backup drill DIR-tmp/fetched/01',
  'backup follow DIR-tmp/followed --once',
  'restore DIR-tmp/followed DIR-tmp/restored --dry-run',
  'restore DIR-tmp/fetched/01 DIR-tmp/restored',
  'restore DIR-tmp/fetched/01 DIR --yes',
]

// Programs read these. A difference here is a line in the changelog; fields are added, not renamed.
describe('what --json prints keeps its shape', () => {
  test.each(LINES)('%s', async (line) => {
    const args = `${line.replaceAll('DIR', server.dir).replaceAll('AHA', aha.dir)} --json`.split(' ')
    const {status, stdout} = await runCli(args, {
      env: {REGISTRY_DIR: (/^(provision|pool|clone)/.test(line) ? aha : server).dir, SYN_DIR: join(server.dir, 'syn')},
    })
    const values = /^(service watch|query --call getTasks|backup follow)/.test(line)
      ? stdout.trimEnd().split('\n')
      : [stdout]
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
