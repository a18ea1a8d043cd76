import {readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {parseJson} from '../../src/base/json-parse.ts'
import {TestApi, TestPeer} from '../support/api.ts'
import {DEVIATIONS} from './zeromq-deviations.ts'

interface Row {
  readonly case: string
  readonly dir: 'c2s' | 's2c' | 'pub'
  readonly frames: readonly string[]
  readonly port: string
  readonly client: string
}

interface Exchange {
  readonly name: string
  readonly sent: Row | undefined
  readonly answer: Row | undefined
  readonly events: readonly Row[]
}

function load(prefix: string): Exchange[] {
  const lines = readFileSync(new URL('../vectors/zeromq.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
  const exchanges: {name: string; sent?: Row; answer?: Row; events: Row[]}[] = []
  for (const row of lines.map((line) => JSON.parse(line) as Row).filter((line) => line.case.startsWith(`${prefix}/`))) {
    const last = exchanges.at(-1)
    if (row.dir === 'c2s') exchanges.push({name: row.case, sent: row, events: []})
    else if (row.dir === 's2c' && last?.name === row.case) last.answer = row
    else if (last?.name === row.case) last.events.push(row)
    else exchanges.push({name: row.case, events: [row]})
  }
  return exchanges as Exchange[]
}

/** Frames of a row as text, with the ids that the recorded server made replaced by ours. */
class Translation {
  readonly #ids = new Map<string, string>()

  learn(recorded: unknown, ours: unknown): void {
    if (typeof recorded === 'string' && typeof ours === 'string' && recorded !== ours) this.#ids.set(recorded, ours)
  }

  frames(row: Row): Buffer[] {
    return row.frames.map((hex) => {
      const bytes = Buffer.from(hex, 'hex')
      if (this.#ids.size === 0) return bytes
      let text = bytes.toString('latin1')
      for (const [recorded, ours] of this.#ids) text = text.replaceAll(asLatin1(recorded), asLatin1(ours))
      return Buffer.from(text, 'latin1')
    })
  }
}

/** An id as it stands in ASCII JSON, where other characters are escaped. */
function asLatin1(id: string): string {
  return id.replaceAll(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const VOLATILE = new Set([
  'timestamp',
  'last_heartbeat',
  'req_port',
  'pub_port',
  'hb_port',
  'enforce_unique_service_types',
])

/** Asserts that our answer says all that the recorded one says; what ours says besides is allowed. */
function expectSays(ours: unknown, recorded: unknown, at: string): void {
  if (Array.isArray(recorded)) {
    expect(Array.isArray(ours) ? ours.length : ours, at).toBe(recorded.length)
    recorded.forEach((item, index) => {
      expectSays((ours as unknown[])[index], item, `${at}[${index}]`)
    })
  } else if (typeof recorded === 'object' && recorded !== null) {
    for (const [key, value] of Object.entries(recorded)) {
      const mine = (ours as Record<string, unknown> | undefined)?.[key]
      if (VOLATILE.has(key)) expect(typeof mine, `${at}.${key}`).toBe(typeof value)
      else expectSays(mine, value, `${at}.${key}`)
    }
  } else {
    expect(ours, at).toEqual(recorded)
  }
}

function parsed(frame: string | Buffer | undefined): unknown {
  return frame === undefined ? undefined : parseJson(frame.toString())
}

for (const prefix of ['sqlite', 'memory', 'legacy']) {
  test(`the recorded exchanges of ${prefix} get the same answers and events, but for the listed deviations`, async () => {
    const api = await TestApi.start({uniqueTypes: prefix === 'sqlite', terminate: () => true})
    const translation = new Translation()
    const peer = new TestPeer()
    const unused = new Set(Object.keys(DEVIATIONS).filter((name) => name.startsWith(`${prefix}/`)))
    for (const exchange of load(prefix)) {
      unused.delete(exchange.name)
      await replay(api, peer, exchange, translation)
    }
    expect([...unused], 'deviations that are listed but not recorded').toEqual([])
    api.close()
  })
}

async function replay(api: TestApi, peer: TestPeer, exchange: Exchange, translation: Translation): Promise<void> {
  const {name, sent, answer} = exchange
  const deviation = DEVIATIONS[name]
  // Entries that ran out just before the request was sent.
  const split = Math.max(
    0,
    exchange.events.findIndex((row) => topicOf(row) !== 'expire'),
  )
  await expireAll(api, exchange.events.slice(0, split), translation)
  const eventsBefore = api.events.length
  if (sent !== undefined) {
    const frames = translation.frames(sent)
    const isReq = sent.client === 'REQ' && frames[0]?.length !== 0
    const [got] = await api.exchange(
      peer,
      isReq ? [Buffer.alloc(0), ...frames] : frames,
      sent.port === 'hb' ? 'hb' : 'envelope',
    )
    const ours = isReq ? got?.slice(1) : got
    if (deviation !== undefined) deviation.check(ours === undefined ? undefined : parsed(ours.at(-1)), name)
    else compareAnswer(ours, answer, translation, name)
  }
  compareEvents(api, exchange, eventsBefore, translation, deviation !== undefined)
  await expireAll(api, exchange.events.slice(split), translation)
}

function compareAnswer(
  ours: string[] | undefined,
  answer: Row | undefined,
  translation: Translation,
  name: string,
): void {
  if (answer === undefined || answer.frames.length === 0) {
    expect(ours, `${name}: no answer was recorded`).toBeUndefined()
    return
  }
  const recordedJson = Buffer.from(answer.frames.at(-1) ?? '', 'hex')
  const mine = parsed(ours?.at(-1)) as Record<string, unknown> | undefined
  const raw = parsed(recordedJson) as Record<string, unknown>
  // Releases before 0.10 keep the letter case of the name in the ids they make.
  translation.learn(raw['service_id'], mine?.['service_id'])
  const recorded = translation.frames(answer)
  expect(ours?.slice(0, -1), `${name}: frames before the JSON`).toEqual(recorded.slice(0, -1).map(String))
  expectSays(mine, parsed(recorded.at(-1)), name)
}

function compareEvents(
  api: TestApi,
  exchange: Exchange,
  from: number,
  translation: Translation,
  deviates: boolean,
): void {
  const caused = exchange.events
    .filter((row) => topicOf(row) !== 'expire')
    .map((row) => parsed(translation.frames(row)[1]))
  const ours = api.events.slice(from).filter(({topic}) => topic !== 'expire')
  if (!deviates) {
    expect(ours.length, `${exchange.name}: number of events`).toBe(caused.length)
    caused.forEach((event, index) => {
      expectSays(parsed(ours[index]?.body), event, `${exchange.name}: event ${index}`)
    })
  }
}

function topicOf(row: Row): string {
  return Buffer.from(row.frames[0] ?? '', 'hex').toString()
}

/** The replay's clock stands still: what ran out while the recording was made ends when its event says so. */
async function expireAll(api: TestApi, rows: readonly Row[], translation: Translation): Promise<void> {
  for (const row of rows.filter((one) => topicOf(one) === 'expire')) {
    const {data} = parsed(translation.frames(row)[1]) as {data: {service_id: unknown}}
    const id = String(data.service_id)
    if (api.catalog.get(id) === undefined) continue
    await api.expire(id)
    const event = parsed(api.events.at(-1)?.body)
    expect(event, `expire of ${id}`).toMatchObject({type: 'expire', data: {service_id: id, service_info: {id}}})
  }
}
