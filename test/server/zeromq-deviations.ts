import {expect} from 'vitest'

/** Where our answer is not the recorded one, why, and what it must be instead. */
export interface Deviation {
  readonly why: string
  readonly check: (ours: unknown, name: string) => void
}

const refused = (error: RegExp) => (ours: unknown, name: string) => {
  expect(ours, name).toEqual({success: false, error: expect.stringMatching(error)})
}
const works = (fields: object) => (ours: unknown, name: string) => {
  expect(ours, name).toMatchObject({success: true, ...fields})
}
const count = (services: number) => (ours: unknown, name: string) => {
  expect((ours as {services?: unknown[]}).services?.length, name).toBe(services)
}

const ANSWER_ALL = 'the Python server is silent and its client waits; every request that can be answered is'
const STRICT = 'what would be stored and then spoil lists, types or ports for all is refused'
const CLEARER = 'refused by both; ours says what is wrong'
const CONSEQUENCE = 'follows from a registration that was refused before'
const ONE_PORT = 'one port serves every client generation and framing'

const BOTH: Readonly<Record<string, Deviation>> = {
  'register-null-service-info': {why: ANSWER_ALL, check: refused(/service_info must be an object/)},
  'register-list-service-info': {why: ANSWER_ALL, check: refused(/service_info must be an object/)},
  'register-string-service-info': {why: ANSWER_ALL, check: refused(/service_info must be an object/)},
  'register-name-number': {why: ANSWER_ALL, check: refused(/name must be a text/)},
  'register-name-null': {why: ANSWER_ALL, check: refused(/name must be a text/)},
  'register-name-number-with-id': {why: STRICT, check: refused(/name must be a text/)},
  'get-name-number-with-id': {why: CONSEQUENCE, check: refused(/^Service not found$/)},
  'register-id-list': {why: CLEARER, check: refused(/id must be a text/)},
  'register-port-text': {why: STRICT, check: refused(/port must be an integer from 0 to 65535/)},
  'get-port-text': {why: CONSEQUENCE, check: refused(/^Service not found$/)},
  'register-port-null': {why: STRICT, check: refused(/port must be an integer/)},
  'register-port-big': {why: STRICT, check: refused(/port must be an integer from 0 to 65535/)},
  'register-tags-string': {why: STRICT, check: refused(/tags must be a list/)},
  'register-metadata-null': {why: ANSWER_ALL, check: refused(/metadata must be an object/)},
  'register-metadata-list': {why: ANSWER_ALL, check: refused(/metadata must be an object/)},
  'deregister-list-id': {why: CLEARER, check: refused(/service_id must be a text or an integer/)},
  'discover-list-type': {why: CLEARER, check: refused(/No healthy service of type \["web"\] found/)},
  'action-list': {why: ANSWER_ALL, check: refused(/Unknown action: \["health"\]/)},
  'json-array': {why: ANSWER_ALL, check: refused(/expected a JSON object/)},
  'json-null': {why: ANSWER_ALL, check: refused(/expected a JSON object/)},
  'json-number': {why: ANSWER_ALL, check: refused(/expected a JSON object/)},
  'json-string': {why: ANSWER_ALL, check: refused(/expected a JSON object/)},
  'json-utf16': {why: ANSWER_ALL, check: refused(/not UTF-8/)},
  'json-non-utf8': {why: ANSWER_ALL, check: refused(/not UTF-8/)},
  'json-deep': {why: ANSWER_ALL, check: refused(/deeper than 64/)},
  'frames-one-payload': {why: ONE_PORT, check: works({status: 'ok'})},
  'frames-empty-one': {why: ONE_PORT, check: refused(/Invalid JSON format/)},
  'frames-empty-envelope': {why: ONE_PORT, check: works({status: 'ok'})},
  'frames-delimiter-envelope': {why: ONE_PORT, check: works({status: 'ok'})},
  'req-socket-plain': {why: ONE_PORT, check: works({status: 'ok'})},
  'req-socket-envelope': {why: ONE_PORT, check: works({status: 'ok'})},
  'hb-bad-json': {why: ANSWER_ALL, check: refused(/Invalid JSON format/)},
  'hb-empty': {why: ANSWER_ALL, check: refused(/Invalid JSON format/)},
  'hb-array': {why: ANSWER_ALL, check: refused(/expected a JSON object/)},
  'hb-non-utf8': {why: ANSWER_ALL, check: refused(/not UTF-8/)},
  'hb-delimiter': {why: ONE_PORT, check: works({message: 'Service renewed successfully'})},
  'register-ttl-zero': {why: STRICT, check: refused(/Invalid ttl/)},
  'register-ttl-negative': {why: STRICT, check: refused(/Invalid ttl/)},
  'get-ttl-negative': {why: CONSEQUENCE, check: refused(/^Service not found$/)},
  'after-terminate': {why: 'the replay has no process to end', check: works({status: 'ok'})},
}

const both = (prefix: string) =>
  Object.fromEntries(Object.entries(BOTH).map(([name, deviation]) => [`${prefix}/${name}`, deviation]))

export const DEVIATIONS: Readonly<Record<string, Deviation>> = {
  ...both('sqlite'),
  ...both('memory'),
  'sqlite/register-id-number': {
    why: 'an id is text in events too, as it is in the store',
    check: works({service_id: 77}),
  },
  'sqlite/register-ttl-text': {why: STRICT, check: refused(/Invalid ttl/)},
  'sqlite/deregister-ttl-text': {why: CONSEQUENCE, check: refused(/could not be deregistered/)},
  'sqlite/register-ttl-null': {why: CLEARER, check: refused(/Invalid ttl/)},
  'sqlite/register-tags-null': {why: CLEARER, check: refused(/tags must be a list/)},
  'sqlite/list-type-null': {why: CONSEQUENCE, check: count(17)},
  'memory/register-id-number': {
    why: 'an id is text in events too, as it is in the store',
    check: works({service_id: 77}),
  },
  'memory/get-id-number': {
    why: 'an id is text, as with the SQLite storage',
    check: works({service: expect.objectContaining({id: '77'})}),
  },
  'memory/get-id-number-as-string': {why: 'an id is text, as with the SQLite storage', check: works({})},
  'memory/get-port-string': {
    why: 'a port is a number, as with the SQLite storage',
    check: works({service: expect.objectContaining({port: 8080})}),
  },
  'memory/list-type-null': {why: CONSEQUENCE, check: count(17)},
  'memory/info': {why: CONSEQUENCE, check: count(8)},
  'memory/list-all': {why: CONSEQUENCE, check: count(8)},
  'legacy/register-null': {why: CLEARER, check: refused(/service_info must be an object/)},
  'legacy/json-empty': {why: 'an empty message of a REQ socket: both refuse it', check: refused(/Invalid JSON format/)},
  'legacy/json-array': {why: CLEARER, check: refused(/expected a JSON object/)},
  'legacy/json-non-utf8': {why: CLEARER, check: refused(/not UTF-8/)},
  'legacy/frames-extra': {
    why: 'frames after the JSON are ignored, as the current release does',
    check: works({status: 'ok'}),
  },
  'legacy/dealer-no-delimiter': {why: ONE_PORT, check: works({status: 'ok'})},
  'legacy/dealer-envelope': {why: ONE_PORT, check: works({status: 'ok'})},
}
