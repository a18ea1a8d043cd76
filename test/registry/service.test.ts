import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {parseJson} from '../../src/base/json-parse.ts'
import {infoWithId, readService, readStoredService} from '../../src/registry/service.ts'
import {makeService} from '../support/service.ts'

const refusalOf = (info: Record<string, unknown>, ttl?: unknown) => {
  const value = {name: 'n', host: 'h', port: 1, ...info}
  const result = readService({value, text: JSON.stringify(value), ttl}, () => 'id')
  return 'error' in result ? result.error : undefined
}

describe('a service', () => {
  test('has the type as a tag and in its metadata', () => {
    const service = makeService({type: 'camera', tags: ['lab'], metadata: {gain: 2}})
    expect(service.labels).toEqual(['lab', 'camera'])
    expect(JSON.parse(service.text)).toMatchObject({
      type: 'camera',
      tags: ['lab', 'camera'],
      metadata: {gain: 2, type: 'camera'},
    })
  })

  test('with a type in its metadata only is found by it, but not tagged', () => {
    const service = makeService({metadata: {type: 'camera'}})
    expect(service.labels).toEqual(['camera'])
    expect(JSON.parse(service.text)).toMatchObject({type: 'camera', tags: []})
  })

  test('keeps what is not interpreted as the text that came', () => {
    const text =
      '{"name":"n","host":"h","port":1,"big":1152921504606846977,"metadata":{"x":1.50,"x":2,"n":NaN,"__proto__":{"a":1}},"protocol":"ipc"}'
    const service = readService({value: parseJson(text) as Record<string, unknown>, text, ttl: undefined}, () => 'id')
    expect('error' in service ? service.error : service.text).toContain(
      '"metadata":{"x":1.50,"x":2,"n":NaN,"__proto__":{"a":1}}',
    )
    expect('error' in service ? service.error : service.text).toContain('"big":1152921504606846977,"protocol":"ipc"')
  })

  test('does not take the fields that the registry owns from the client', () => {
    const service = makeService({health: 'critical', last_heartbeat: 1, ttl: 5}, 40)
    expect(JSON.parse(service.text)).toEqual({
      id: 'cam-generated',
      name: 'cam',
      host: '127.0.0.1',
      port: 5000,
      metadata: {},
      ttl: 40,
      tags: [],
    })
  })

  test.each([
    [{port: '8080'}, 8080],
    [{port: 0}, 0],
    [{port: 65_535}, 65_535],
  ])('takes the port of %j', (info, port) => {
    expect(makeService(info).port).toBe(port)
  })

  test.each([
    [{port: -1}, undefined, 'port'],
    [{port: 65_536}, undefined, 'port'],
    [{port: 1.5}, undefined, 'port'],
    [{port: '0x50'}, undefined, 'port'],
    [{name: 'a\nb'}, undefined, 'name'],
    [{name: 'ä'.repeat(128)}, undefined, 'name'],
    [{host: null}, undefined, 'host'],
    [{type: ['camera']}, undefined, 'type'],
    [{tags: [1]}, undefined, 'tags'],
    [{tags: Array(257).fill('t')}, undefined, 'tags'],
    [{metadata: []}, undefined, 'metadata'],
    [{id: {}}, undefined, 'id'],
    [{id: 'x'.repeat(513)}, undefined, 'id'],
    [{}, 0, 'ttl'],
    [{}, -1, 'ttl'],
    [{}, null, 'ttl'],
    [{}, 'soon', 'ttl'],
    [{}, Number.POSITIVE_INFINITY, 'ttl'],
    [{}, 400 * 86_400 * 10, 'ttl'],
    [{metadata: {text: 'x'.repeat(65_536)}}, undefined, '64 KiB'],
  ])('is refused for %j with ttl %j, naming %s', (info, ttl, named) => {
    expect(refusalOf(info, ttl)).toContain(named)
  })

  test('is the same when it is read from the store', () => {
    fc.assert(
      fc.property(
        fc.record({
          id: fc.option(fc.string({minLength: 1, maxLength: 40}).filter(isPlain), {nil: undefined}),
          name: fc.string({maxLength: 60}).filter(isPlain),
          port: fc.integer({min: 0, max: 65_535}),
          type: fc.option(fc.string({minLength: 1, maxLength: 20}).filter(isPlain), {nil: undefined}),
          tags: fc.array(fc.string({maxLength: 20}).filter(isPlain), {maxLength: 4}),
          metadata: fc.dictionary(fc.string(), fc.jsonValue()),
          extra: fc.jsonValue(),
        }),
        (info) => {
          const service = makeService(JSON.parse(JSON.stringify({...info, host: 'h'})))
          expect(readStoredService(service.text)).toMatchObject({
            id: service.id,
            name: service.name,
            type: service.type,
            labels: service.labels,
            ttlS: 30,
            text: service.text,
          })
          expect(JSON.parse(service.text).extra).toEqual(JSON.parse(JSON.stringify(info.extra)))
        },
      ),
    )
  })
})

describe('the service_info of an event', () => {
  test.each([
    ['{"name":"a"}', '{"name":"a", "id": "x"}'],
    ['{}', '{"id": "x"}'],
    ['{"id":null,"name":"a"}', '{"name":"a", "id": "x"}'],
    ['{"id":"own","name":"a"}', '{"id":"own","name":"a"}'],
    ['{"id":77}', '{"id":77}'],
  ])('%s carries an id', (sent, carried) => {
    expect(infoWithId(sent, 'x')).toBe(carried)
  })
})

function isPlain(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what names must not have
  return !/[\u0000-\u001f\u007f-\u009f]/.test(text) && Buffer.byteLength(text) < 200
}
