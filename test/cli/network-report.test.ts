import {expect, test} from 'vitest'
import {networkCounts, networkText, readNetwork, readNetworkOf} from '../../src/cli/network-report.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {Callable} from '../../src/wire/telepath/caller.ts'

const {signal} = new AbortController()
const urlinfo = {scheme: 'ssl', host: '10.0.0.7', port: 27493}
const entry = (svcname: string, svcinfo: Value): Value => ({name: `${svcname}.demo.net`, svcname, svcinfo})
const up = {run: 'f00d', leader: 'cortex', ready: true, online: 'beef', urlinfo}

/** An AHA that lists these services for that network only. */
function aha(entries: readonly Value[]): Callable {
  const never = () => Promise.reject(new Error('nothing else is asked'))
  return {
    info: {classes: [], methods: new Map()},
    call: never,
    share: never,
    async *stream(method, options) {
      expect([method, options?.args]).toEqual(['getAhaSvcs', ['demo.net']])
      yield* entries
    },
  }
}

test('the services of a network are shown with who leads, who is online and ready', async () => {
  const report = await readNetwork(
    aha([
      entry('00.cortex', up),
      entry('01.cortex', {...up, run: 'cafe', ready: false}),
      entry('02.cortex', {run: 'dead', leader: 'cortex', urlinfo}),
      entry('cortex', up),
      entry('lone', {leader: null, online: 'beef', ready: true, urlinfo}),
    ]),
    'demo.net',
    signal,
  )
  expect(networkCounts(report)).toBe('5, 4 of them online')
  expect(networkText(report).split(/\s*\n/)).toEqual([
    'NAME                LEADS  ONLINE  READY  ADDRESS',
    '00.cortex.demo.net  yes    yes     yes    10.0.0.7:27493',
    '01.cortex.demo.net  no     yes     no     10.0.0.7:27493',
    '02.cortex.demo.net  no     no      no     10.0.0.7:27493',
    'cortex.demo.net     yes    yes     yes    10.0.0.7:27493',
    'lone.demo.net       -      yes     yes    10.0.0.7:27493',
  ])
})

test('a service that says nonsense of itself does not hide the others', async () => {
  const odd = [null, 'text', [1], {urlinfo: 5}, {urlinfo: {host: 5, port: 'x'}, run: 7, leader: {}}]
  const entries = odd.map((svcinfo, i) => entry(`${i}.odd`, svcinfo))
  const {services} = await readNetwork(aha([...entries, entry('00.cortex', up)]), 'demo.net', signal)
  expect(services).toHaveLength(odd.length + 1)
  for (const service of services.slice(0, -1)) expect(service).toMatchObject({online: false, address: null})
})

test('of very many services the first are shown, and how the others are found', async () => {
  const many = Array.from({length: 201}, (_, i) => entry(`${i}.cortex`, up))
  const text = networkText(await readNetwork(aha(many), 'demo.net', signal))
  expect(text.split('\n')).toHaveLength(202)
  expect(text).toMatch(/\nand 1 more: registry query URL --call getAhaSvcs demo\.net$/)
})

test('the network is that which the AHA itself is in', async () => {
  const info: Value = {cell: {aha: {network: 'demo.net'}}}
  const asked = {...aha([entry('00.axon', up)]), call: async () => info}
  expect((await readNetworkOf(asked, signal)).services.map(({name}) => name)).toEqual(['00.axon.demo.net'])
})
