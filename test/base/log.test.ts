import {inspect} from 'node:util'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {createLog, type Fields, type Log, type LogOptions} from '../../src/base/log.ts'
import {Secret} from '../../src/base/secret.ts'

// Local time, so that the test holds in every zone.
const NOON_MS = new Date(2026, 10, 5, 12, 3, 4, 56).getTime()

function logging(options: Partial<LogOptions> = {}): {log: Log; lines: string[]} {
  const lines: string[] = []
  const log = createLog({
    level: 'info',
    structured: false,
    clock: {wallMs: () => NOON_MS},
    write: (line) => lines.push(line),
    ...options,
  })
  return {log, lines}
}

/** Gives the line that one event makes. */
function lineOf(fields: Fields, structured = false, event = 'a.b'): string {
  const {log, lines} = logging({structured})
  log.info(event, fields)
  expect(lines).toHaveLength(1)
  return lines[0] ?? ''
}

const paramsOf = (fields: Fields) => JSON.parse(lineOf(fields, true)).params

describe('the plain form', () => {
  test('has local time to the millisecond, level, event and facts in order', () => {
    expect(lineOf({id: 'cam-1', lateMs: 12, isLast: false, none: null, absent: undefined})).toBe(
      '2026-11-05 12:03:04,056 [INFO] a.b id=cam-1 lateMs=12 isLast=false none=null',
    )
  })

  test('quotes what could be taken for more than one value', () => {
    expect(lineOf({a: 'x y', b: 'x=1', c: '', d: 'say "hi"', e: 'C:\\x', f: 'tcp://127.0.0.1:5556'})).toBe(
      String.raw`2026-11-05 12:03:04,056 [INFO] a.b a="x y" b="x=1" c="" d="say \"hi\"" e="C:\\x" f=tcp://127.0.0.1:5556`,
    )
  })

  test('writes lists and objects as JSON', () => {
    expect(lineOf({ports: {req: 1}, tags: ['a b', 2]})).toMatch(/ ports=\{"req":1\} tags=\["a b",2\]$/)
  })

  test('gives an error on one line with its causes, and a trace only when nobody foresaw it', () => {
    const cause = Object.assign(new Error('no space'), {code: 'ENOSPC'})
    const foreseen = lineOf({error: new RegistryError('REG_STORE_FAILED', 'cannot write', {cause})})
    expect(foreseen).toMatch(/ error="REG_STORE_FAILED: cannot write \(ENOSPC: no space\)"$/)
    const bug = lineOf({error: new TypeError('x is not a function')})
    expect(bug).toMatch(/ error="TypeError: x is not a function" traceback="[^\n]*log\.test\.ts:\d+[^\n]*"$/)
  })
})

test('whoever keeps a record gets the structured form of each written line, whichever is written', () => {
  const records: string[] = []
  const {log, lines} = logging({record: (line) => records.push(line)})
  log.debug('not.written', {})
  log.with({username: 'root'}).info('a.b', {passwd: 'planted'})
  expect(lines).toEqual(['2026-11-05 12:03:04,056 [INFO] a.b passwd=*** username=root'])
  expect(records.map((line) => JSON.parse(line))).toMatchObject([
    {message: 'a.b', level: 'INFO', username: 'root', params: {passwd: '***'}},
  ])
})

describe('the structured form', () => {
  test('has the keys of the peers in their order, params always and last', () => {
    const {log, lines} = logging({structured: true})
    log.info('a.b')
    log.with({service: '00.reg.net', user: 'ab12', username: 'root'}).error('c.d', {error: new Error('no'), n: 1})
    const [plain, full] = lines.map((line) => JSON.parse(line))
    expect(plain).toEqual({
      message: 'a.b',
      logger: {name: 'registry', process: 'MainProcess', thread: 'MainThread'},
      level: 'INFO',
      time: '2026-11-05 12:03:04,056',
      params: {},
    })
    expect(Object.keys(full)).toEqual([
      'message',
      'logger',
      'level',
      'time',
      'service',
      'user',
      'username',
      'error',
      'params',
    ])
    expect(full).toMatchObject({service: '00.reg.net', user: 'ab12', username: 'root', params: {n: 1}})
  })

  test('gives an error with code, traceback, facts, message and causes', () => {
    const {log, lines} = logging({structured: true})
    const cause = Object.assign(new Error('taken'), {code: 'EADDRINUSE'})
    log.error('listen.failed', {
      error: new RegistryError('REG_LISTEN_FAILED', 'port taken', {cause, info: {port: 1, token: 'x'}}),
    })
    const {error, params} = JSON.parse(lines[0] ?? '')
    expect(params).toEqual({})
    expect(Object.keys(error)).toEqual(['code', 'traceback', 'info', 'mesg', 'cause'])
    expect(error).toMatchObject({code: 'REG_LISTEN_FAILED', info: {port: 1, token: '***'}, mesg: 'port taken'})
    expect(error.cause).toMatchObject({code: 'EADDRINUSE', mesg: 'taken'})
    expect(error.traceback[0]).toEqual([
      expect.stringContaining('log.test.ts'),
      expect.any(Number),
      expect.any(String),
      '',
    ])
  })

  test('keeps an error that is no Error among the facts', () => {
    expect(paramsOf({error: 'why', n: 1})).toEqual({error: 'why', n: 1})
  })
})

describe('levels', () => {
  test.each([
    ['debug', 5],
    ['INFO', 4],
    [' Warning ', 3],
    [40, 2],
    ['50', 1],
  ])('%j writes %i of the five', (level, count) => {
    const {log, lines} = logging({level})
    log.debug('d')
    log.info('i')
    log.warning('w')
    log.error('e')
    log.critical('c')
    expect(lines.map((line) => /\[(\w+)\]/.exec(line)?.[1])).toEqual(
      ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'].slice(-count),
    )
  })

  test.each([['verbose'], [''], [15], ['0'], ['NaN'], ['constructor']])('%j is refused', (level) => {
    expect(() => logging({level})).toThrow(expect.objectContaining({code: 'REG_CONFIG_INVALID'}))
  })

  test('can be set while it runs, for logs made of it too; a wrong one changes nothing', () => {
    const {log, lines} = logging()
    const inner = log.with({username: 'root'})
    log.setLevel('error')
    inner.info('unseen')
    expect(() => log.setLevel('loud')).toThrow(RegistryError)
    inner.warning('unseen')
    log.setLevel(10)
    inner.debug('seen')
    expect(lines).toEqual(['2026-11-05 12:03:04,056 [DEBUG] seen username=root'])
  })
})

describe('warnOnce', () => {
  test('warns once for each key', () => {
    const {log, lines} = logging()
    for (const key of ['a', 'b', 'a']) log.warnOnce(key, 'option.deprecated', {name: key})
    log.with({}).warnOnce('b', 'option.deprecated')
    expect(lines.map((line) => line.slice(24))).toEqual([
      '[WARNING] option.deprecated name=a',
      '[WARNING] option.deprecated name=b',
    ])
  })

  test('still warns when the level lets it through later', () => {
    const {log, lines} = logging({level: 'error'})
    log.warnOnce('a', 'option.deprecated')
    log.setLevel('info')
    log.warnOnce('a', 'option.deprecated')
    expect(lines).toHaveLength(1)
  })

  test('remembers a bounded number of keys, the newest', () => {
    const {log, lines} = logging()
    for (let i = 0; i <= 1000; i += 1) log.warnOnce(`key ${i}`, 'w')
    log.warnOnce('key 1', 'w')
    expect(lines).toHaveLength(1001)
    log.warnOnce('key 0', 'w')
    expect(lines).toHaveLength(1002)
  })
})

describe('secrets', () => {
  test('are hidden by type, wherever they stand', () => {
    const secret = new Secret('hunter2')
    const lines = [lineOf({a: secret, b: {c: [secret]}}), lineOf({a: secret, b: new Map([['c', secret]])}, true)]
    for (const line of lines) expect(line).not.toContain('hunter2')
    expect(lines[0]).toMatch(/ a=\*\*\* b=\{"c":\["\*\*\*"\]\}$/)
    const shown = [
      `${secret}`,
      JSON.stringify({secret}),
      inspect({secret}),
      String(secret),
      inspect(secret, {showHidden: true}),
    ]
    for (const text of shown) expect(text).toMatch(/^[^h]*\*\*\*[^h]*$|secret: \*\*\*|"secret":"\*\*\*"/)
    expect(shown.join()).not.toContain('hunter2')
    expect(secret.reveal()).toBe('hunter2')
  })

  test.each([
    ['passwd'],
    ['password'],
    ['userPassword'],
    ['token'],
    ['TOKEN'],
    ['provision:token'],
    ['apiKey'],
    ['api_key'],
    ['apikeys'],
    ['secret'],
    ['key'],
  ])('are hidden under the name %s', (name) => {
    expect(paramsOf({[name]: 'hunter2', args: [{[name]: ['hunter2']}]})).toEqual({
      [name]: '***',
      args: [{[name]: '***'}],
    })
  })

  test.each([['monkey'], ['keyboard'], ['tokenizer'], ['name']])('%s is no secret', (name) => {
    expect(paramsOf({[name]: 'x'})).toEqual({[name]: 'x'})
  })

  test('a flag or nothing is none either', () => {
    expect(paramsOf({hasToken: true, key: null})).toEqual({hasToken: true, key: null})
  })
})

describe('hostile values', () => {
  test('nothing begins a new line, moves the cursor or turns the direction of writing', () => {
    const evil = 'x\n2026-01-01 00:00:00,000 [INFO] forged\r\u001b[2J\u0085\u2028\u202e\u009b\u0000\ud800'
    for (const structured of [false, true]) {
      const line = lineOf({evil, [evil]: 1, list: [evil], error: new Error(evil)}, structured, `e${evil}`)
      expect(line).not.toMatch(/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u)
      if (structured) expect(JSON.parse(line).params.evil).toBe(evil)
    }
  })

  test('any value makes one bounded line', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string({unit: 'binary'}),
          fc.anything({
            withDate: true,
            withBigInt: true,
            withMap: true,
            withSet: true,
            withNullPrototype: true,
            withTypedArray: true,
          }),
        ),
        (fields) => {
          expect(lineOf(fields)).toMatch(/^2026-11-05 12:03:04,056 \[INFO\] a\.b[^\p{Cc}]*$/u)
          expect(JSON.parse(lineOf(fields, true)).message).toBe('a.b')
        },
      ),
    )
  })

  test('long values, lists and objects are cut and say so', () => {
    const long = paramsOf({a: 'x'.repeat(5000)}).a
    expect(long).toBe(`${'x'.repeat(1024)}... 3976 more`)
    const line = lineOf(
      {
        list: Array(100_000).fill('abc'),
        more: Object.fromEntries(Array.from({length: 10_000}, (_, i) => [`k${i}`, 'v'.repeat(2000)])),
      },
      true,
    )
    expect(line.length).toBeLessThan(64 * 1024)
    expect(line).toMatch(/\d+ more/)
  })

  test('what nests without end is cut', () => {
    const loop: Record<string, unknown> = {}
    loop['self'] = loop
    const ring = new Error('ring')
    ring.cause = ring
    expect(paramsOf({loop})).toEqual({loop: {self: {self: {self: {self: {self: '...'}}}}}})
    expect(lineOf({error: ring}, true).length).toBeLessThan(64 * 1024)
    expect(lineOf({error: ring})).toContain('ring')
  })

  test('a key such as __proto__ is written like any other', () => {
    expect(lineOf({a: JSON.parse('{"__proto__": 1}')})).toMatch(/ a=\{"__proto__":1\}$/)
  })

  test('what JSON has no form for is written as text', () => {
    expect(
      paramsOf({
        a: Number.NaN,
        b: -Infinity,
        c: 2n ** 70n,
        d: new Uint8Array(5),
        e: new Date(Number.NaN),
        f: test,
        g: Symbol('s'),
      }),
    ).toEqual({
      a: 'NaN',
      b: '-Infinity',
      c: '1180591620717411303424',
      d: '5 bytes',
      e: 'no date',
      f: 'function',
      g: 'Symbol(s)',
    })
  })
})
