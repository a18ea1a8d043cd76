// Calls to a leader and its mirror by AHA, and the stock tool that shows them: our registry and a real AHA, each with a real pair, side by side.
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {NETWORK, OurAha} from './our-aha.ts'
import type {RealProxy, SynapseAgent} from './synapse-agent.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {AhaNetwork, runTool, SynapseService, type ToolResult} from './synapse-world.ts'

const UP_WITHIN_MS = 120_000
/** Six processes of Python, one after the other on each side. */
const SETUP_WITHIN_MS = 600_000

/** An AHA with a leader and its mirror: bare cells, which are cheap. */
interface Side {
  readonly url: string
  readonly aha: RealProxy
  readonly leader: SynapseService
  readonly mirror: SynapseService
  readonly home: string
}

let stack: AsyncDisposableStack
let ours: Side
let theirs: Side

showLogsWhenFailed()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  const [our, their] = await Promise.all([OurAha.start(), AhaNetwork.start(NETWORK)])
  stack.use(our)
  stack.use(their)
  const agent = await our.agent(await our.home())
  const starting = [sideOf(agent, our.cellUrl), sideOf(agent, their.aha.cellUrl)] as const
  ;[ours, theirs] = await Promise.all(starting)
}, SETUP_WITHIN_MS)
afterAll(() => stack?.disposeAsync())

async function sideOf(agent: SynapseAgent, url: string): Promise<Side> {
  const aha = await agent.open(url)
  const leader = await start(aha, '00.cell', {})
  const mirror = await start(aha, '01.cell', {mirror: 'cell'})
  return {url, aha, leader, mirror, home: agent.home}
}

async function start(aha: RealProxy, name: string, info: Readonly<Record<string, Value>>): Promise<SynapseService> {
  const url = String(await aha.call('addAhaSvcProv', {args: [name, info]}))
  const service = stack.use(await SynapseService.start('cell', {network: NETWORK, conf: {'aha:provision': url}}))
  await shown(aha, name, (svcinfo) => svcinfo?.['online'] !== undefined && svcinfo['ready'] === true)
  return service
}

async function shown(aha: RealProxy, name: string, isRight: (svcinfo?: {[key: string]: Value}) => boolean) {
  const giveUpAt = performance.now() + UP_WITHIN_MS
  for (;;) {
    const entry = (await aha.call('getAhaSvc', {args: [`${name}...`]})) as {svcinfo: {[key: string]: Value}} | null
    if (isRight(entry?.svcinfo)) return
    if (performance.now() > giveUpAt) throw new Error(`${name} is not as it should be in time`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** What all answered, in order of name, without what differs from run to run: idens, and where in which source an error was. */
async function answers({aha, leader}: Side, method: string, todo: Value, ...more: readonly Value[]): Promise<unknown> {
  const iden = String(await (await aha.agent.open(leader.cellUrl)).call('getCellIden'))
  const items = (await aha.items(method, {args: [iden, todo, ...more]})) as [string, [boolean, Value]][]
  return items
    .map(([name, [isGood, value]]) => [name, isGood ? shape(value) : (value as {readonly err: string}).err])
    .toSorted(([one], [other]) => (String(one) < String(other) ? -1 : 1))
}

/** The names of members, and the kinds of values. */
function shape(value: Value): unknown {
  if (typeof value === 'string') return value.replaceAll(/\b[0-9a-f]{32}\b/g, 'IDEN')
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0])]
  if (typeof value !== 'object' || value === null) return typeof value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, typeof one]))
}

describe('calls to all services of an iden', () => {
  test.each([
    ['callAhaPeerApi', ['getCellIden', [], {}]],
    ['callAhaPeerApi', ['getCellInfo', [], {}]],
    ['callAhaPeerApi', ['getUserInfo', ['root'], {}]],
    ['callAhaPeerApi', ['getUserInfo', [], {name: 'root'}]],
    ['callAhaPeerApi', ['getUserInfo', ['ghost'], {}]],
    ['callAhaPeerApi', ['newp', [], {}]],
    ['callAhaPeerApi', ['getTasks', [], {}]],
    ['callAhaPeerGenr', ['getTasks', [], {}]],
    ['callAhaPeerGenr', ['getNexusChanges', [0], {wait: false}]],
  ])('%s %j is answered as by a real AHA', async (method, todo) => {
    const [our, their] = await Promise.all([answers(ours, method, todo), answers(theirs, method, todo)])
    expect(our).toEqual(their)
    if (todo[0] === 'getCellIden') {
      expect(our).toEqual([
        [`00.cell.${NETWORK}`, 'IDEN'],
        [`01.cell.${NETWORK}`, 'IDEN'],
      ])
    }
  })

  test('end in time at one that does not answer', async () => {
    const todo = ['waitNexsOffs', [9999], {timeout: 5}]
    const [our, their] = await Promise.all([
      answers(ours, 'callAhaPeerApi', todo, 0.5),
      answers(theirs, 'callAhaPeerApi', todo, 0.5),
    ])
    expect(our).toEqual(their)
    expect(our).toEqual([
      [`00.cell.${NETWORK}`, 'TimeoutError'],
      [`01.cell.${NETWORK}`, 'TimeoutError'],
    ])
  })

  test('leave out the one that asks', async () => {
    const {aha, leader} = ours
    const proxy = await aha.agent.open(leader.cellUrl)
    const run = await proxy.call('getCellRunId')
    const answered = await answers(ours, 'callAhaPeerApi', ['getCellIden', [], {}], 5, run)
    expect(answered).toEqual([[`01.cell.${NETWORK}`, 'IDEN']])
  })
})

/** Ports are others in each run, and so are the versions of our own cell. */
function normal({status, stdout}: ToolResult): {readonly status: number | null; readonly lines: readonly string[]} {
  return {status, lines: stdout.split('\n').map((line) => line.replace(/(127\.0\.0\.1 +)\d+ +/, '$1PORT '))}
}

function mirrorTool({url, home}: Side, ...args: readonly string[]): Promise<ToolResult> {
  return runTool('aha.mirror', ['--url', url, ...args], {home, network: NETWORK})
}

describe('aha.mirror', () => {
  test.each([[[]], [['--wait']]])('%j shows what it shows at a real AHA', async (args) => {
    const [our, their] = [normal(await mirrorTool(ours, ...args)), normal(await mirrorTool(theirs, ...args))]
    expect(our).toEqual(their)
    expect(our.status).toBe(0)
    const text = our.lines.join('\n')
    expect(text).toContain('Group Status: In Sync')
    expect(text).toContain(`Group Leader: 00.cell.${NETWORK}`)
    expect(text).toMatch(/ 01\.cell\.\S+ +follower +True +True +127\.0\.0\.1 +PORT 2\.256\.0 +2\.256\.0 +\d+ /)
  })

  test('shows a mirror that is gone, and one that is back', async () => {
    for (const {aha, mirror} of [ours, theirs]) {
      await mirror.kill()
      await shown(aha, '01.cell', (svcinfo) => svcinfo?.['online'] === undefined)
    }
    const gone = normal(await mirrorTool(ours))
    expect(gone).toEqual(normal(await mirrorTool(theirs)))
    expect(gone.lines.join('\n')).toContain('Group Status: Out of Sync')
    for (const {aha, mirror} of [ours, theirs]) {
      await mirror.start()
      await shown(aha, '01.cell', (svcinfo) => svcinfo?.['online'] !== undefined && svcinfo['ready'] === true)
    }
    expect(normal(await mirrorTool(ours, '--wait')).lines.join('\n')).toContain('Group Status: In Sync')
  })
})
