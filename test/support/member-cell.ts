// A leader and its clone, built and in processes of their own, with a wire between them that can be cut.
import {mkdtemp} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {openTelepath} from '../../src/client/telepath/open.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {startAhaServer} from './aha-server.ts'
import {runCli} from './cli.ts'
import {lastingPorts} from './lasting-port.ts'
import {startServer, type TestServer} from './server.ts'
import {Wire} from './wire.ts'

const NAMES = ['aha.demo.net', '01.aha.demo.net'] as const
/** Telepath, and three for ZeroMQ. */
const PORTS_EACH = 4
const WEATHER = new URL('./weather-child.ts', import.meta.url).href

export interface CellSettings {
  readonly conf?: Readonly<Record<string, unknown>>
  /** More variables of the first and of the second member. */
  readonly env?: readonly [NodeJS.ProcessEnv, NodeJS.ProcessEnv]
}

/** One of the two that are in the cell from its beginning; which one leads is up to the test. */
export interface Member extends TestServer {
  readonly name: string
}

export class MemberCell implements AsyncDisposable {
  readonly members: readonly [Member, Member]
  readonly wire: Wire
  readonly #stack: AsyncDisposableStack

  private constructor(members: readonly [Member, Member], wire: Wire, stack: AsyncDisposableStack) {
    this.members = members
    this.wire = wire
    this.#stack = stack
  }

  /** The first one leads. */
  static async start({conf = {}, env = [{}, {}]}: CellSettings = {}): Promise<MemberCell> {
    await using stack = new AsyncDisposableStack()
    const ports = await lastingPorts(NAMES.length * PORTS_EACH)
    const portsOf = ([req = 0, pub = 0, hb = 0]: readonly number[]) => ({req, pub, hb, rep: null})
    const wire = stack.use(await Wire.lay(ports.slice(0, NAMES.length)))
    const weather = {NODE_OPTIONS: `--import ${WEATHER}`, TEST_PORTS: JSON.stringify(wire.ports)}
    const listen = (at: 0 | 1) => ({
      'dmon:listen': `ssl://127.0.0.1:${ports[at]}?hostname=${NAMES[at]}&ca=demo.net`,
      'provision:listen': `ssl://127.0.0.1:0?hostname=${NAMES[at]}`,
      ...conf,
    })
    const one = stack.use(
      await startAhaServer(listen(0), {
        ports: portsOf(ports.slice(2, 5)),
        env: {...weather, ...env[0]},
      }),
    )
    const {stdout} = await runCli(['clone', NAMES[1], '--only-url'], {env: {REGISTRY_DIR: one.dir}})
    const clone = stdout.trim().replace(NAMES[0], '127.0.0.1')
    const dir = await mkdtemp(join(tmpdir(), 'registry-member-'))
    const two = stack.use(
      await startServer({
        dir,
        conf: {...listen(1), clone},
        ports: portsOf(ports.slice(5)),
        env: {...weather, ...env[1]},
      }),
    )
    const cell = new MemberCell(
      [Object.assign(one, {name: NAMES[0]}), Object.assign(two, {name: NAMES[1]})],
      wire,
      stack.move(),
    )
    await cell.settled()
    return cell
  }

  /** Waits until one leads, the other one follows it, and has what the leader had then; gives the leader first. */
  async settled(): Promise<readonly [leader: Member, mirror: Member]> {
    const [one, two] = this.members
    for (;;) {
      const roles = await Promise.all([roleOf(one), roleOf(two)])
      const [leader, mirror] = roles[0] === 'leads' ? [one, two] : [two, one]
      if (roles.toSorted().join() !== 'follows,leads') {
        await delay(10)
        continue
      }
      const next = Number(await callAsRoot(leader, 'getNexsIndx'))
      const isThere = await callAsRoot(mirror, 'waitNexsOffs', next - 1, 10)
      if (isThere === true && (await isLinked(mirror))) return [leader, mirror]
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()))
  }

  async startAgain(): Promise<void> {
    await Promise.all(this.members.map((member) => member.start()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]()
  }
}

/** Calls once as root, on the UNIX socket. */
export async function callAsRoot(
  {dir}: Pick<Member, 'dir'>,
  method: string,
  ...args: readonly Value[]
): Promise<Value> {
  await using root = await openTelepath(`cell://${dir}`)
  return await root.call(method, {args})
}

interface MemberView {
  readonly isSelf: boolean
  readonly isOnline: boolean
  readonly role: string
}

async function viewOf(member: Member): Promise<readonly MemberView[]> {
  return (await callAsRoot(member, 'getMembers')) as unknown as readonly MemberView[]
}

export async function roleOf(member: Member): Promise<string | undefined> {
  return (await viewOf(member)).find(({isSelf}) => isSelf)?.role
}

async function isLinked(member: Member): Promise<boolean> {
  return (await viewOf(member)).every(({isOnline}) => isOnline)
}
