import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {jsonOfMessage} from '../../src/cli/storm-messages.ts'
import {type StormEnd, StormRun} from '../../src/cli/storm-run.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {STORM_VECTORS, vectorOf} from './storm-vectors.ts'

async function* streamOf(messages: readonly Value[]): AsyncGenerator<Value, void> {
  yield* messages
}

interface Outcome {
  readonly json: readonly unknown[]
  readonly end: StormEnd | undefined
  readonly error: RegistryError | undefined
  readonly marked: string | undefined
}

async function outcomeOf(query: string, messages: readonly Value[]): Promise<Outcome> {
  const run = new StormRun(query, streamOf(messages))
  const json: unknown[] = []
  let error: RegistryError | undefined
  try {
    for await (const message of run.messages()) json.push(JSON.parse(JSON.stringify(jsonOfMessage(message) ?? null)))
  } catch (thrown) {
    if (!(thrown instanceof RegistryError)) throw thrown
    error = thrown
  }
  return {json: json.filter((one) => one !== null), end: run.end, error, marked: run.marked}
}

const outcome = (query: string) => {
  const vector = vectorOf(query)
  return outcomeOf(vector.query, vector.messages)
}

describe('a query', () => {
  test.each(STORM_VECTORS.map((row) => [row.query, row] as const))(
    'ends as the stock tool says, except return: %s',
    async (_, row) => {
      const {error, end} = await outcomeOf(row.query, row.messages)
      const isReturn = row.query.startsWith('return')
      expect(error?.code).toBe(row.stock.status === 0 || isReturn ? undefined : 'REG_QUERY_FAILED')
      expect(end).toMatchObject({nodes: row.messages.filter((one) => Array.isArray(one) && one[0] === 'node').length})
    },
  )

  test('that returns gives the text of the value', async () => {
    expect(await outcome('return(')).toMatchObject({json: [{return: "['1', None]"}], error: undefined})
  })

  test('gives what it says as objects with one member', async () => {
    const {json} = await outcome('$lib.print(hello)')
    expect(json).toEqual([{print: {mesg: 'hello'}}, {warn: {mesg: 'careful'}}])
    const {json: others} = await outcome('$lib.csv')
    expect(others.map((one) => Object.keys(one as object))).toEqual([['csv:row'], ['storm:fire']])
    const {json: nodes} = await outcome('[inet:dns:a')
    expect(nodes).toEqual([
      {
        node: expect.objectContaining({
          form: 'inet:dns:a',
          value: ['vertex.link', 16909060],
          repr: ['vertex.link', '1.2.3.4'],
          props: expect.objectContaining({fqdn: 'vertex.link'}),
        }),
      },
    ])
  })

  test('counts its edits, sent or counted', async () => {
    const {end} = await outcome('[inet:fqdn=vertex.link]')
    expect(end?.edits).toBeGreaterThan(5)
    expect((await outcome('[inet:fqdn=a.b]')).end?.edits).toBeGreaterThan(5)
    expect((await outcome('inet:fqdn=vertex.link')).end?.edits).toBe(0)
  })

  test('that stops without its end is an error', async () => {
    const {messages} = vectorOf('inet:fqdn=vertex.link')
    const cut = await outcomeOf('', messages.slice(0, -1))
    expect(cut.error).toMatchObject({code: 'REG_LINK_CLOSED', info: {nodes: 1}})
    expect((await outcomeOf('', [5, null, ['node'], ['err', 5], [], {}])).error).toBeDefined()
  })

  test('that is left early is left at the Cortex', async () => {
    let isLeft = false
    async function* endless(): AsyncGenerator<Value, void> {
      try {
        for (;;) yield ['print', {mesg: 'again'}]
      } finally {
        isLeft = true
      }
    }
    for await (const _ of new StormRun('', endless()).messages()) break
    expect(isLeft).toBe(true)
  })
})

describe('an error', () => {
  test('of syntax says where it is', async () => {
    const {error, marked} = await outcome('inet:fqdn\n  | limit')
    expect(error).toMatchObject({info: {errname: 'BadSyntax', line: 2, column: 14, nodes: 0}, spec: {exit: 1}})
    expect(error?.info).not.toHaveProperty('text')
    expect(marked?.split('\n')).toEqual(['  2 |   | limit 1 |||', '    |              ^'])
  })

  test('of a query in the query shows that one', async () => {
    expect((await outcome('storm.exec')).marked?.split('\n')).toEqual(['  1 | inet:fqdn |||', '    |            ^'])
  })

  test('that was raised has the name and the facts that it was given', async () => {
    const {error, marked} = await outcome('/* 漢漢')
    expect(error?.message).toBe('not now (line 1, column 11)')
    expect(error?.info).toEqual({errname: 'Refused', why: 'tired', line: 1, column: 11, nodes: 0})
    expect(marked).toContain('^~~~')
  })

  test('from elsewhere than the query is not shown in it', async () => {
    const {query, messages} = vectorOf('inet:fqdn=vertex.link | nosuch')
    const other = messages.map((message) => JSON.parse(JSON.stringify(message).replace(/"hash":"\w+"/, '"hash":"5"')))
    const [init, ...rest] = messages
    expect(await outcomeOf(query, [init, ...other.slice(1)])).toMatchObject({
      marked: undefined,
      error: {code: 'REG_QUERY_FAILED'},
    })
    expect((await outcomeOf(query, [init, ...rest])).marked).toContain('^~~~~~')
  })

  test('with facts of any type can be shown as JSON', async () => {
    const facts = {mesg: 'no', big: 2n ** 70n, bytes: Buffer.from([1]), none: null}
    const {error} = await outcomeOf('', [['err', ['BadArg', facts]]])
    expect(JSON.stringify(error?.info)).toBe(
      '{"errname":"BadArg","big":1180591620717411303424,"bytes":{"$bytes":"AQ=="},"none":null,"nodes":0}',
    )
  })
})
