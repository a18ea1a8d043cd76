/**
 * Fences: what keeps a service from leading that was replaced by force. Its process does not know that, and takes the name of the leader again when
 * it starts: the AHA refuses it this name, and its own name only, until it is provisioned anew or somebody lifts the fence.
 */
import {RegistryError} from '../base/errors.ts'
import {parseJson} from '../base/json-parse.ts'
import {type AhaEntry, idenOf, isJsonObject, type JsonObject} from './aha-entry.ts'

/** A service that may not take the name of the leader. Immutable. */
export interface AhaFence {
  /** Full name of the service. */
  readonly name: string
  /** Of its cell: another one of the same name is another service. */
  readonly iden: string
  /** Full name that whoever leads has. */
  readonly alias: string
  /** Full name of the service that was promoted. */
  readonly leader: string
  readonly sinceMs: number
  /** The newest start of it that was refused; undefined when none was. */
  readonly back?: FenceContact | undefined
}

interface FenceContact {
  /** Which start of the service. */
  readonly run: string
  readonly atMs: number
  /** Address. */
  readonly from: string
}

/**
 * What can happen to fences. It stands in the log as JSON text:
 *
 *     {"v":1,"kind":"aha:fence:set","name":"00.axon.loop.link","iden":"20ed…","alias":"axon.loop.link","leader":"01.axon.loop.link","sinceMs":1795219892491}
 *     {"v":1,"kind":"aha:fence:refuse","name":"00.axon.loop.link","run":"00ed…","atMs":1795219892999,"from":"10.0.0.7"}
 *     {"v":1,"kind":"aha:fence:lift","name":"00.axon.loop.link","why":"provisioned"}
 *
 * `refuse` stands there once for each start of the service. Versions: 1, the first.
 */
export type AhaFenceChange =
  | ({readonly kind: 'aha:fence:set'} & Omit<AhaFence, 'back'>)
  | ({readonly kind: 'aha:fence:refuse'; readonly name: string} & FenceContact)
  | {readonly kind: 'aha:fence:lift'; readonly name: string; readonly why: 'asked' | 'provisioned'}

/**
 * Makes the fence of a service whose cell another one leads now.
 *
 * @throws RegistryError `REG_BAD_REQUEST` when they are not two services of one cell, or have no name for the leader
 */
export function fenceOf(entry: AhaEntry, leader: AhaEntry, sinceMs: number): AhaFence {
  const iden = idenOf(entry)
  const {leader: alias} = entry.info
  if (entry.full === leader.full) throw badFence(`${entry.full} cannot be kept from leading by itself`)
  if (iden === undefined || iden !== idenOf(leader)) {
    throw badFence(`${entry.full} and ${leader.full} are not of one cell`)
  }
  if (typeof alias !== 'string' || alias === '' || alias === entry.name) {
    throw badFence(`${entry.full} says of no name that its leader has`)
  }
  return {name: entry.full, iden, alias: `${alias}.${entry.network}`, leader: leader.full, sinceMs}
}

/** Gives what a change leaves of a fence; undefined when there is none then. */
export function fenceAfter(change: AhaFenceChange, old: AhaFence | undefined): AhaFence | undefined {
  switch (change.kind) {
    case 'aha:fence:set': {
      const {name, iden, alias, leader, sinceMs} = change
      return {name, iden, alias, leader, sinceMs}
    }
    case 'aha:fence:refuse': {
      const {run, atMs, from} = change
      return old && {...old, back: {run, atMs, from}}
    }
    case 'aha:fence:lift':
      return undefined
  }
}

/** Tells whether a change of this kind is one of fences. */
export function isFenceKind(kind: string): boolean {
  return kind.startsWith('aha:fence:')
}

/** Gives the text of a change for the log. */
export function encodeFenceChange(change: AhaFenceChange): string {
  return JSON.stringify({v: 1, ...change})
}

/** Reads a change from the log. Throws a `TypeError` or `SyntaxError` when it is not one: the log is damaged or from a newer version. */
export function decodeFenceChange(text: string): AhaFenceChange {
  const members = membersOf(parseJson(text))
  const {v, kind, why} = members
  if (v !== 1) throw new TypeError('not a change of version 1')
  if (kind === 'aha:fence:set') return {kind, ...readFence(members)}
  const name = textIn(members, 'name')
  if (kind === 'aha:fence:refuse') return {kind, name, ...readContact(members)}
  if (kind === 'aha:fence:lift' && (why === 'asked' || why === 'provisioned')) return {kind, name, why}
  throw new TypeError(`not a change of a known kind: ${String(kind)}`)
}

/** Gives the text of a fence for the store. */
export function encodeFence(fence: AhaFence): string {
  return JSON.stringify(fence)
}

/** Reads a fence from the store. Throws a `TypeError` or `SyntaxError` when it is damaged. */
export function decodeFence(text: string): AhaFence {
  const members = membersOf(parseJson(text))
  const {back} = members
  return {...readFence(members), ...(back === undefined ? {} : {back: readContact(membersOf(back))})}
}

function readFence(members: JsonObject): AhaFence {
  return {
    name: textIn(members, 'name'),
    iden: textIn(members, 'iden'),
    alias: textIn(members, 'alias'),
    leader: textIn(members, 'leader'),
    sinceMs: numberIn(members, 'sinceMs'),
  }
}

function readContact(members: JsonObject): FenceContact {
  return {run: textIn(members, 'run'), atMs: numberIn(members, 'atMs'), from: textIn(members, 'from')}
}

function membersOf(value: unknown): JsonObject {
  if (!isJsonObject(value)) throw new TypeError('not an object')
  return value
}

function textIn(members: JsonObject, name: string): string {
  const value = members[name]
  if (typeof value !== 'string') throw new TypeError(`${name} is not a text`)
  return value
}

function numberIn(members: JsonObject, name: string): number {
  const value = members[name]
  if (typeof value !== 'number') throw new TypeError(`${name} is not a number`)
  return value
}

function badFence(text: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', text, {hints: ['registry status aha://NAME']})
}
