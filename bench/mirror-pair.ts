// A built leader and its mirror, in processes of their own, on TLS on loopback.
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as sleep} from 'node:timers/promises'
import {copyOf, NETWORK, newLeader, TestMember} from '../test/support/mirror-pair.ts'
import {startServer, type TestServer} from '../test/support/server.ts'

const CAUGHT_UP_WITHIN_MS = 60_000
const POLL_MS = 5

interface Catching {
  readonly entries: number
  readonly ms: number
}

export class MirrorPair implements AsyncDisposable {
  readonly leader: TestServer
  readonly mirror: TestServer
  /** How often the mirror has been started. */
  #starts = 1

  private constructor(leader: TestServer, mirror: TestServer) {
    this.leader = leader
    this.mirror = mirror
  }

  /** Starts both, and waits until the mirror has all. */
  static async start(): Promise<MirrorPair> {
    const first = await newLeader()
    const name = first.name
    await first.start()
    await first.stop()
    const second = await copyOf(first, `01.${NETWORK}`)
    const leader = await startServer({dir: first.dir, conf: confOf(name)})
    try {
      const mirror = await startServer({dir: second.dir, conf: confOf(second.name, await urlOf(leader, name))})
      const pair = new MirrorPair(leader, mirror)
      await pair.caughtUp()
      return pair
    } catch (error) {
      await leader[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Starts the mirror again after `mirror.stop()`, and gives how many entries it took, and in what time. */
  async resume(): Promise<Catching> {
    this.#starts += 1
    await this.mirror.start()
    return await this.caughtUp()
  }

  /** Calls a method of a member as root. */
  call(
    member: TestServer,
    method: string,
    ...args: Parameters<TestMember['call']> extends [string, ...infer Rest] ? Rest : never
  ) {
    return new TestMember(member.dir, '').call(method, ...args)
  }

  async caughtUp(): Promise<Catching> {
    const giveUpAt = performance.now() + CAUGHT_UP_WITHIN_MS
    while (performance.now() < giveUpAt) {
      const attached = this.#last('mirror.attached')
      const caughtUp = this.#last('mirror.caught-up')
      if (attached !== undefined && caughtUp !== undefined) {
        return {entries: Number(attached.params['behind']), ms: caughtUp.atMs - attached.atMs}
      }
      await sleep(POLL_MS)
    }
    throw new Error(`the mirror does not catch up:\n${this.mirror.output()}`)
  }

  /** The event of the present run of the mirror: there is one of each kind in a run. */
  #last(event: string): {readonly atMs: number; readonly params: Readonly<Record<string, unknown>>} | undefined {
    const lines = this.mirror
      .output()
      .split('\n')
      .filter((line) => line.includes(`"${event}"`))
    const found = lines[this.#starts - 1]
    if (found === undefined || !found.endsWith('}')) return undefined
    const {time, params} = JSON.parse(found)
    return {atMs: Date.parse(String(time).replace(',', '.')), params}
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mirror[Symbol.asyncDispose]()
    await this.leader[Symbol.asyncDispose]()
  }
}

/** Starts a member that has no mirror. */
export async function startAlone(): Promise<TestServer> {
  const {dir, name} = await newLeader()
  return await startServer({dir, conf: confOf(name)})
}

function confOf(name: string, leaderUrl?: string): Readonly<Record<string, unknown>> {
  return {
    ...{'aha:network': NETWORK, 'dns:name': name, 'provision:listen': null, 'log:structured': true},
    'dmon:listen': `ssl://127.0.0.1:0?hostname=${name}&ca=${NETWORK}`,
    ...(leaderUrl === undefined ? {} : {mirror: leaderUrl}),
  }
}

async function urlOf({dir}: TestServer, name: string): Promise<string> {
  const {telepath} = JSON.parse(await readFile(join(dir, 'run.json'), 'utf8'))
  const {port} = new URL(telepath.url)
  return `ssl://127.0.0.1:${port}?hostname=${name}`
}
