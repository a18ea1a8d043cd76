import {readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {ACTOR, basic, type Got, sessionOf, TestHttps} from '../support/https.ts'
import {DEVIATIONS} from './https-deviations.ts'

/** A recorded request and its answer; made by test/interop/record-https.py. */
interface Row {
  readonly case: string
  readonly as: string | null
  readonly method: string
  readonly path: string
  readonly raw?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly save?: Readonly<Record<string, string>>
  readonly status: number
  readonly kept: Readonly<Record<string, string>>
  readonly answer: string
}

const ROWS = readFileSync(new URL('../vectors/https.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Row)
  .filter((row) => 'answer' in row)

/** Sends the recorded requests one after another, with the identities that our server gives in place of the recorded ones. */
class Replay {
  readonly #https: TestHttps
  readonly #names = new Map<string, string>()
  readonly #cookies = new Map<string, string>()

  constructor(https: TestHttps) {
    this.#https = https
  }

  async send(row: Row): Promise<Got> {
    if (row.as === 'key:visi' && !this.#names.has('key')) {
      const {text} = await this.#https.users.addApiKey(this.#names.get('visi') ?? '', 'k1', undefined, ACTOR)
      this.#names.set('key', text)
    }
    const got = await this.#https.ask(this.#filled(row.path), {
      method: row.method,
      headers: {...this.#credentials(row.as), ...row.headers},
      body: row.raw === undefined ? undefined : this.#filled(row.raw),
    })
    if (row.as?.startsWith('sess:') && sessionOf(got) !== '') this.#cookies.set(row.as, sessionOf(got))
    for (const [name, place] of Object.entries(row.save ?? {})) this.#names.set(name, String(at(got.json, place)))
    return got
  }

  /** Gives a text of ours as it would have been recorded. */
  blanked(text: string): string {
    let blank = text
    for (const [name, value] of this.#names) blank = blank.replaceAll(value, `{{${name}}}`)
    return blank.replaceAll(/c0ffee00c0ffee00c0ffee00c0ffee00/g, '{{celliden}}')
  }

  #filled(text: string): string {
    return text.replaceAll(/\{\{(\w+)\}\}/g, (_all, name: string) => this.#names.get(name) ?? '')
  }

  #credentials(who: string | null): Record<string, string> {
    if (who === null) return {}
    const [kind = '', ...rest] = who.split(':')
    const token = this.#cookies.get(who)
    if (kind === 'sess') return token === undefined ? {} : {cookie: `sess=${token}`}
    if (kind === 'key') return {'x-api-key': this.#names.get('key') ?? ''}
    return basic(kind, this.#filled(rest.join(':') || (kind === 'root' ? 'root' : 'secret')))
  }
}

function at(value: unknown, place: string): unknown {
  return place.split('.').reduce((inner, part) => (inner as Record<string, unknown>)[part], value)
}

function headersOf({headers}: Got): Record<string, unknown> {
  const {server, 'www-authenticate': challenge, 'content-type': type, 'x-content-type-options': sniff} = headers
  return {server, challenge, type, sniff}
}

/** Content of ours is JSON or plain text; the peer has pages, and calls robots.txt one. */
function headersLike(row: Row, {status, json}: Got): Record<string, unknown> {
  const type =
    json === undefined && row.method !== 'HEAD' ? 'text/plain; charset=UTF-8' : 'application/json; charset=UTF-8'
  const challenge = row.kept['WWW-Authenticate']
  return {server: undefined, challenge, type: status === 204 ? undefined : type, sniff: 'nosniff'}
}

test('the recorded requests of Synapse get the same answers, but for the listed deviations', async () => {
  await using https = await TestHttps.start()
  const replay = new Replay(https)
  const unused = new Set(Object.keys(DEVIATIONS))
  for (const row of ROWS) {
    const got = await replay.send(row)
    const isJson = row.kept['Content-Type']?.startsWith('application/json') === true
    const {why, ours} = DEVIATIONS[row.case] ?? {
      why: 'as recorded',
      ours: {status: row.status, answer: isJson ? JSON.parse(row.answer) : row.answer},
    }
    unused.delete(row.case)
    const text = replay.blanked(got.text)
    const said = {status: got.status, answer: got.json === undefined ? text : JSON.parse(text)}
    expect.soft(said, `${row.case}: ${why}`).toEqual(ours)
    expect.soft(headersOf(got), row.case).toEqual(headersLike(row, got))
  }
  expect([...unused], 'deviations that are listed but not recorded').toEqual([])
})
