// An AHA server as far as a client sees it.
import type {Value} from '../../../src/wire/msgpack/value.ts'
import {type PeerLink, partsOf, TelepathPeer, WELCOME} from '../../support/telepath-peer.ts'

export interface AhaScript {
  /** Entries by the name that is asked for. */
  readonly services?: Readonly<Record<string, Value>>
  /** Entries of a cell by its iden. */
  readonly cells?: Readonly<Record<string, readonly Value[]>>
  readonly version?: readonly number[]
  /** Hears of each `getAhaSvc`. */
  readonly onLookup?: () => void
  /** Serves `iterPoolTopo`. */
  readonly onTopo?: (link: PeerLink) => void
}

export interface ScriptedAha extends AsyncDisposable {
  readonly url: string
  readonly peer: TelepathPeer
  /** Calls that came: method, arguments, named arguments. */
  readonly calls: Value[]
}

/** An entry that is online at that port. */
export function entryOf(name: string, port: number, more: Readonly<Record<string, Value>> = {}): Value {
  const urlinfo = {scheme: 'tcp', host: '127.0.0.1', port, path: '/other', user: 'visi', passwd: 'given'}
  return {name, svcname: name, svcnetw: 'demo.net', svcinfo: {online: 'a'.repeat(32), ready: true, urlinfo}, ...more}
}

export function valueMessage(value: Value): Value {
  return ['t2:fini', {retn: [true, value]}]
}

export async function startAha(script: AhaScript): Promise<ScriptedAha> {
  const {services = {}, cells = {}, version = [2, 256, 0], onLookup, onTopo} = script
  const calls: Value[] = []
  const peer = await TelepathPeer.start((message, link) => {
    const [type, body] = partsOf(message)
    if (type === 'tele:syn') return link.send(WELCOME)
    const todo = body['todo'] as [string, Value[], Value]
    calls.push(todo)
    const [method, [name]] = todo
    if (method === 'getAhaSvc') onLookup?.()
    if (method === 'getCellInfo') link.send(valueMessage({synapse: {version}}))
    else if (method === 'getAhaSvc') link.send(valueMessage(services[String(name)] ?? null))
    else if (method === 'getAhaSvcsByIden') sendItems(link, cells[String(name)] ?? [])
    else if (method === 'iterPoolTopo') onTopo?.(link)
  })
  return {url: peer.url, peer, calls, [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]()}
}

function sendItems(link: PeerLink, items: readonly Value[]): void {
  link.send(['t2:genr', {}])
  for (const item of items) link.send(['t2:yield', {retn: [true, item]}])
  link.send(['t2:yield', {retn: null}])
}
