import {readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {decode} from '../../../src/wire/msgpack/decode.ts'
import {encode} from '../../../src/wire/msgpack/encode.ts'
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {Daemon} from '../../../src/wire/telepath/daemon.ts'
import {greetDemo} from './demo.ts'
import {bodyOf, errorOf, RawLink} from './raw-link.ts'
import {silentLog} from './silent-log.ts'

interface Row {
  readonly case: string
  readonly seq: number
  readonly conn: number
  readonly dir: 'c2s' | 's2c'
  readonly hex: string
  readonly event?: string
}

const CASES = Map.groupBy(
  readFileSync(new URL('../../vectors/telepath.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line): Row => JSON.parse(line)),
  (row) => row.case,
)

/** Cases of other servers (a cell, AHA, TLS), which are replayed where those are, and of a client that was answered by a script. */
const ELSEWHERE = /^(cell|tls|svc|aha)-|^hs-badvers-server$/

interface Deviation {
  readonly why: string
  /** Name of our error, on a row where the recorded server answers. */
  readonly error?: string
  /** Our bytes, on such a row. */
  readonly hex?: string
  /** What we answer (names of errors, or values) after a row to which the recorded server says nothing. */
  readonly answers?: readonly Value[]
  /** We close the link after this row. */
  readonly closes?: true
}

const FLOAT = {
  why: 'values are not read exactly, so an integral float comes back as an integer',
  hex: '92a774323a66696e6981a47265746e92c301',
}
const MALFORMED = {why: 'a malformed call has one name, not that of where it went wrong', error: 'BadMesgFormat'}
const ANSWERED = {why: 'the client would wait for an answer for ever', answers: ['BadMesgFormat']}
const OVERSIZED = {why: 'a message that says it is beyond the limit is not waited for', closes: true} as const

/** Where we answer otherwise than the recorded server, by case and row. */
const DEVIATIONS: Readonly<Record<string, Deviation>> = {
  'hs-novers/2': {
    why: 'the name that tells the client, instead of the TypeError of a missing key',
    error: 'BadMesgVers',
  },
  'call-echo-values/32': FLOAT,
  't2-init-errors/14': MALFORMED,
  't2-init-errors/16': MALFORMED,
  't2-init-errors/18': MALFORMED,
  'junk-messages/9': ANSWERED,
  'junk-messages/10': ANSWERED,
  'junk-messages/11': ANSWERED,
  'garbage-after-good/3': {why: 'a good call is executed and answered, whatever comes after it', answers: [2]},
  'oversize-bin32/3': OVERSIZED,
  'oversize-array32/3': OVERSIZED,
}

/** Forms of calls that were used before there were sessions, and are refused: the only kind of case that is not replayed. */
const REFUSED = /^v1-/

const cases = [...CASES.keys()].filter((name) => !ELSEWHERE.test(name) && !REFUSED.test(name))

test('all cases of the recorded plain server are replayed', () => {
  expect(cases).toHaveLength(51)
  const keys = new Set([...CASES.values()].flat().map((row) => `${row.case}/${row.seq}`))
  expect(Object.keys(DEVIATIONS).filter((key) => !keys.has(key))).toEqual([])
})

test.each(cases)('what was sent in the case %s is answered as it was', async (name) => {
  await using replay = await Replay.start(name)
  for (const row of CASES.get(name) ?? []) await replay.row(row)
  await replay.end()
})

class Replay implements AsyncDisposable {
  readonly #name: string
  readonly #daemon: Daemon
  readonly #port: number
  readonly #links = new Map<number, RawLink>()
  readonly #closed = new Set<number>()
  /** Our ids for those that were recorded. */
  readonly #ids = new Map<string, string>()

  private constructor(name: string, daemon: Daemon, port: number) {
    this.#name = name
    this.#daemon = daemon
    this.#port = port
  }

  static async start(name: string): Promise<Replay> {
    const daemon = new Daemon({greet: greetDemo, log: silentLog(), synapseVersion: [2, 256, 0]})
    const {port} = await daemon.listenTcp({host: '127.0.0.1', port: 0})
    if (name === 'hs-notready') daemon.setReady(false)
    return new Replay(name, daemon, port)
  }

  async row(row: Row): Promise<void> {
    const link = await this.#link(row.conn)
    if (this.#closed.has(row.conn)) return
    const deviation = DEVIATIONS[`${row.case}/${row.seq}`]
    if (row.dir === 'c2s') await this.#client(row, link, deviation)
    else await this.#server(row, link, deviation)
  }

  /** Nothing came that was not recorded. */
  async end(): Promise<void> {
    for (const link of this.#links.values()) {
      link.socket.end()
      expect(await link.ended()).toEqual([])
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.#links.values()) link[Symbol.dispose]()
    await this.#daemon.stop({graceMs: 0})
  }

  async #client(row: Row, link: RawLink, deviation: Deviation | undefined): Promise<void> {
    if (row.event !== undefined) link.socket.end()
    else link.write(this.#ours(row.hex))
    for (const answer of deviation?.answers ?? []) {
      const [type, retn] = ['t2:fini', ((await link.next()) as [string, {retn: Value}])[1].retn]
      expect(type).toBe('t2:fini')
      expect(retn).toMatchObject(typeof answer === 'string' ? [false, [answer, {}]] : [true, answer])
    }
    if (deviation?.closes !== true) return
    expect(await link.ended()).toEqual([])
    this.#closed.add(row.conn)
  }

  async #server(row: Row, link: RawLink, deviation: Deviation | undefined): Promise<void> {
    if (row.event !== undefined) {
      if (this.#name === 'server-closes') this.#daemon.setReady(false)
      expect(await link.ended()).toEqual([])
      return
    }
    const answered = (await link.next()) as Message
    this.#learn(decode(Buffer.from(row.hex, 'hex'), {exact: true}) as Message, answered)
    const recorded = decode(this.#ours(row.hex), {exact: true}) as Message
    if (deviation?.error !== undefined) expect(errorOf(bodyOf(answered))).toBe(deviation.error)
    else if (hasDetails(recorded))
      expect(this.#comparable(answered, recorded)).toEqual(this.#comparable(recorded, recorded))
    else
      expect(Buffer.from(encode(answered)).toString('hex')).toBe(deviation?.hex ?? this.#ours(row.hex).toString('hex'))
  }

  async #link(conn: number): Promise<RawLink> {
    const known = this.#links.get(conn)
    if (known !== undefined) return known
    const link = await RawLink.open(this.#port)
    this.#links.set(conn, link)
    return link
  }

  #learn([, recorded]: Message, [, answered]: Message): void {
    for (const key of ['sess', 'iden']) {
      if (recorded[key] !== undefined) this.#ids.set(String(recorded[key]), String(answered[key]))
    }
  }

  /** The recorded bytes with our ids in them, which are as long. */
  #ours(hex: string): Buffer {
    let bytes = Buffer.from(hex, 'hex').toString('latin1')
    for (const [recorded, ours] of this.#ids) bytes = bytes.replaceAll(recorded, ours)
    return Buffer.from(bytes, 'latin1')
  }

  /** Without what is of the peer's source code and version, and without texts that the peer does not have, or words in its language's terms. */
  #comparable([type, body]: Message, [, recorded]: Message): Value {
    const {sess: _, iden: __, sharinfo, retn, ...others} = body
    const meths = (recorded['sharinfo'] as Described | undefined)?.meths ?? {}
    const info = sharinfo as Described | undefined
    return [
      type,
      {
        ...others,
        ...(info === undefined
          ? {}
          : {sharinfo: {...info, meths: own(info.meths, meths), classes: info.classes.slice(0, 1), 'syn:commit': ''}}),
        ...(retn === undefined ? {} : {retn: withoutPlaces(retn, recorded['retn'])}),
      },
    ]
  }
}

type Message = [type: string, body: Record<string, Value>]

interface Described {
  readonly meths: Record<string, Value>
  readonly classes: readonly string[]
  readonly [key: string]: Value
}

/** Methods that Python objects inherit are none of ours. */
const INHERITED =
  /^(addSignalHandlers|anit|dist|enter_context|fini|fire|incref|main|off|on|onWith|onfini|postAnit|sched.*|unlink|waiter|waitfini)$/

function own(meths: Record<string, Value>, recorded: Record<string, Value>): Value {
  const names = Object.keys(meths).filter((name) => !INHERITED.test(name) || !(name in recorded))
  return names.map((name) => [name, meths[name]])
}

function hasDetails([type, {retn}]: Message): boolean {
  return type === 'tele:syn' || type === 't2:share' || (Array.isArray(retn) && retn[0] === false)
}

function withoutPlaces(retn: Value, recorded: Value): Value {
  if (!Array.isArray(retn) || retn[0] === true) return retn
  const [name, facts] = retn[1] as [string, Record<string, Value>]
  const {efile: _, eline: __, esrc: ___, ename: ____, mesg, ...others} = facts
  const [, [, {mesg: recordedText}]] = recorded as [boolean, [string, Record<string, Value>]]
  const isSaid = recordedText !== undefined && name !== 'NotMsgpackSafe'
  return [false, [name, {...others, ...(isSaid ? {mesg} : {})}]]
}
