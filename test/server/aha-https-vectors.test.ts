import {readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {AHA_NETWORK} from '../support/aha.ts'
import {ACTOR, basic, TestHttps} from '../support/https.ts'

/** A recorded request and its answer; made by test/interop/record-aha-https.py. */
interface Row {
  readonly case: string
  readonly as: string | null
  readonly method: string
  readonly path: string
  readonly raw?: string
  readonly status: number
  readonly kept: Readonly<Record<string, string>>
  readonly answer: string
}

const ROWS = readFileSync(new URL('../vectors/aha-https.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Row)
const INFO = {
  run: 'r0',
  iden: 'i0',
  leader: 'axon',
  ready: true,
  promotable: true,
  urlinfo: {
    scheme: 'ssl',
    host: '10.0.0.7',
    port: 34_243,
    path: '',
    hostname: `00.axon.${AHA_NETWORK}`,
    ca: AHA_NETWORK,
  },
}

/** Refused by both; ours names the member in words of its own. */
const WORDS: Readonly<Record<string, string>> = {
  'services: empty network': 'body/network must have at least 1 characters',
  'services: network is null': 'body/network must be string',
  'services: network is a number': 'body/network must be string',
  'services: something else': 'body must have nothing else',
  'provision: no name': 'body must have name',
  'provision: empty name': 'body/name must have at least 1 characters',
  'provision: name is a number': 'body/name must be string',
  'provision: provinfo is null': 'body/provinfo must be object',
  'provision: port is too large': 'body/provinfo/dmon:port must be at most 65535',
  'provision: port is a text': 'body/provinfo/https:port must be integer',
  'provision: conf is a list': 'body/provinfo/conf must be object',
  'provision: mirror is empty': 'body/provinfo/mirror must have at least 1 characters',
  'provision: something else': 'body must have nothing else',
}

test('services and provisioning are answered as by the recorded AHA, but for the words of refusals', async () => {
  await using https = await TestHttps.start()
  const visi = await https.users.addUser({name: 'visi', passwd: 'secret'}, ACTOR)
  const session = {id: 's', peer: {family: 'tcp', address: '10.0.0.7', port: 1}} as const
  for (const name of ['00.axon', 'axon']) {
    const place = {full: `${name}.${AHA_NETWORK}`, name, network: AHA_NETWORK}
    await https.aha.services.add(place, INFO, session, ACTOR)
  }
  const masked = (text: string) =>
    text
      .replaceAll(/"online":"[0-9a-f]{32}"/g, '"online":"{{online}}"')
      .replaceAll(/ssl:\/\/aha\.demo\.net:\d+\/[0-9a-f]{32}\?certhash=\w+/g, '{{url}}')
      .replaceAll(visi.iden, '{{visi}}')
  const unused = new Set(Object.keys(WORDS))
  for (const row of ROWS) {
    const [name = '', passwd = name === 'root' ? 'root' : 'secret'] = row.as?.split(':') ?? []
    const headers = row.as === null ? {} : basic(name, passwd)
    const got = await https.ask(row.path, {method: row.method, headers, body: row.raw})
    const mesg = WORDS[row.case]
    unused.delete(row.case)
    const isJson = row.kept['Content-Type']?.startsWith('application/json') === true
    const theirs = isJson
      ? (JSON.parse(row.answer) as object)
      : {status: 'err', code: 'NoSuchMeth', mesg: `${row.path} cannot be asked by ${row.method}.`}
    const expected = mesg === undefined ? theirs : {...theirs, mesg}
    expect.soft({status: got.status, answer: JSON.parse(masked(got.text))}, row.case).toEqual({
      status: row.status,
      answer: expected,
    })
  }
  expect([...unused], 'words that are listed but not recorded').toEqual([])
})

test('a cell that is no AHA has no such paths, and tells of none', async () => {
  await using https = await TestHttps.start({ports: {aha: undefined}})
  for (const [path, body] of [
    ['/api/v1/aha/services', undefined],
    ['/api/v1/aha/provision/service', {name: '00.axon'}],
  ] as const) {
    expect(await https.asRoot(path, {body})).toMatchObject({status: 404, json: {code: 'NoSuchPath'}})
  }
  expect((await https.ask('/api/v1/openapi.json')).text).not.toContain('/api/v1/aha/')
})
