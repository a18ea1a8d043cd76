// What the kernel sees of a registration: needs strace, which .ci/run installs. Without it these tests fail rather than pass unseen.
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import {setTimeout as delay} from 'node:timers/promises'
import {expect, test} from 'vitest'
import {RawClient} from '../support/raw-client.ts'
import {startServer, type TestServer} from '../support/server.ts'

/** Traces syncs and sends of all threads of a running server, until it is told to stop; gives the lines, in order of time. */
async function traced(server: TestServer, work: () => Promise<void>): Promise<string[]> {
  const file = join(server.dir, 'trace')
  const calls = 'trace=fsync,fdatasync,sync_file_range,sendto,sendmsg,write,writev'
  const strace = spawn('strace', ['-f', '-s', '300', '-e', calls, '-o', file, '-p', String(server.pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await attached(strace)
  await work()
  strace.kill('SIGINT')
  await once(strace, 'exit')
  return (await readFile(file, 'utf8')).split('\n')
}

async function attached(strace: ChildProcess): Promise<void> {
  let said = ''
  strace.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const gone = once(strace, 'exit')
  while (!said.includes('attached')) {
    const end = await Promise.race([delay(10), gone])
    if (end !== undefined) throw new Error(`strace cannot trace: ${said}`)
  }
}

/** A sync that has ended well: on one line, or where it is resumed after a line of another thread. */
const SYNCED = /\bf(data)?sync(\(\d+\)| resumed>\)) +=( 0)/
const ANSWERED = /(?:sendto|sendmsg|writev?)\(.*Service (?:de)?registered successfully/

/** Numbers of syncs before each answer to a change, since the one before it; the last number counts those after the last answer. */
function syncsPerAnswer(lines: readonly string[]): number[] {
  const counts = [0]
  for (const line of lines) {
    if (SYNCED.test(line)) counts[counts.length - 1] = (counts.at(-1) ?? 0) + 1
    else if (ANSWERED.test(line)) counts.push(0)
  }
  return counts
}

test('each change is synced once, and that has ended before its answer is sent; what is no change is not synced', async () => {
  await using server = await startServer()
  using client = new RawClient(server.ports.req)
  await client.registerOnce('first') // makes the WAL, which takes more
  const lines = await traced(server, async () => {
    for (let count = 0; count < 10; count += 1) {
      expect(await client.registerOnce(`s${count}`)).toMatchObject({success: true})
      expect(await client.renew(`s${count}`)).toMatchObject({success: true})
      expect(await client.get(`s${count}`)).toMatchObject({success: true})
      expect(await client.deregisterOnce(`s${count}`)).toMatchObject({success: true})
      expect(await client.ask({action: 'register', service_info: {}})).toMatchObject({success: false})
    }
  })
  expect(syncsPerAnswer(lines)).toEqual([...Array(20).fill(1), 0])
})

test('changes that arrive together share a sync', async () => {
  await using server = await startServer()
  using client = new RawClient(server.ports.req)
  await client.registerOnce('first')
  const lines = await traced(server, async () => {
    const answers = await Promise.all(Array.from({length: 400}, (_, count) => client.registerOnce(`s${count}`)))
    expect(answers.filter(({success}) => success)).toHaveLength(400)
  })
  const syncs = lines.filter((line) => SYNCED.test(line)).length
  expect(syncs).toBeGreaterThan(0)
  expect(syncs).toBeLessThan(80)
  expect(syncsPerAnswer(lines)[0], 'none is answered before the first sync').toBeGreaterThan(0)
})
