/**
 * What the engine and its worker say to each other: flat arrays of numbers and strings, which cross threads faster than objects do.
 *
 * Request: `[id, operation, ...]`, by operation:
 *
 *     OPEN       path, 1 when empty pages are given back
 *     INSTANCES  after seq, limit
 *     APPEND     then per entry 9 values: timeMs, actor, change, epoch or 0 (as it is), hash or '' (any), then by effect:
 *                1 (put), seq, service, lastHeartbeatS; 0 (delete), seq, '', 0; 2 (records), 0, JSON of `[[table, key, value or null], …]`, 0;
 *                3 (none), 0, '', 0; 4 (rotate), 0, '', 0; 5 (cull), offset, '', 0
 *     RENEW      then per renewal: seq, lastHeartbeatS
 *     READ       offset, limit
 *     RECORDS    after table, after key, limit, 1 for that table alone or 0
 *     SIZE
 *     PROBE
 *     FREEZE
 *     THAW
 *     CLOSE
 *
 * Answer, in the order of the requests: `[id, 1, ...]` when done, `[id, 0, code, message, info as JSON]` when it failed. Done, by operation:
 *
 *     OPEN       nextOffset, epoch, lastHash, nextSeq, iden, firstOffset
 *     INSTANCES  per instance: seq, service, lastHeartbeatS
 *     APPEND     offset of the first entry, hash of the last one
 *     SIZE       offset of the oldest entry, bytes, free bytes, 1 while space is being given back or 0
 *     RECORDS    per record: table, key, value
 *     READ       per entry: offset, epoch, hash, timeMs, actor, change
 *     others     nothing
 *
 * Example: `[7, 3, 1700000000000, 'zmq:anon/6b', '{"kind":"x"}', 0, '', 0, 12, '', 0]` deletes instance 12; `[7, 1, 4711, '9f86…']` says that it was
 * entry 4711.
 */
import assert from 'node:assert/strict'
import {ERRORS, type ErrorCode, RegistryError} from '../base/errors.ts'
import type {
  Effect,
  Entry,
  NewEntry,
  RecordChange,
  Renewal,
  StoredInstance,
  StoredRecord,
  StoreHead,
  StoreSize,
} from './store.ts'

export type Flat = (number | string)[]

export const OPEN = 1
export const INSTANCES = 2
export const APPEND = 3
export const RENEW = 4
export const READ = 5
export const PROBE = 6
export const CLOSE = 7
export const RECORDS = 8
export const SIZE = 9

export const FREEZE = 30
export const THAW = 31

export const DONE = 1
const FAILED = 0
/** Place of the first value after id and operation, or after id and outcome. */
export const BODY = 2

export const ENTRY_WIDTH = 9
export const RENEWAL_WIDTH = 2
const INSTANCE_WIDTH = 3
const LOG_WIDTH = 6
const RECORD_WIDTH = 3
export const PUT = 1
export const DELETE = 0
export const PUT_RECORDS = 2
const NOTHING = 3
export const ROTATE = 4
export const CULL = 5

/** Gives the number at a place of a message. */
export function numberAt(message: Readonly<Flat>, place: number): number {
  const value = message[place]
  assert(typeof value === 'number', `no number at ${place}`)
  return value
}

/** Gives the text at a place of a message. */
export function textAt(message: Readonly<Flat>, place: number): string {
  const value = message[place]
  assert(typeof value === 'string', `no text at ${place}`)
  return value
}

/** Writes an APPEND request. */
export function appendRequest(id: number, entries: readonly NewEntry[]): Flat {
  const message: Flat = [id, APPEND]
  for (const {timeMs, actor, change, effect, epoch, hash} of entries) {
    message.push(timeMs, actor, change, epoch ?? 0, hash ?? '')
    pushEffect(message, effect)
  }
  return message
}

function pushEffect(message: Flat, effect: Effect): void {
  switch (effect.kind) {
    case 'put': {
      const {seq, service, lastHeartbeatS} = effect.instance
      message.push(PUT, seq, service, lastHeartbeatS)
      return
    }
    case 'delete':
      message.push(DELETE, effect.seq, '', 0)
      return
    case 'records': {
      const rows = effect.records.map(({table, key, value}) => [table, key, value])
      message.push(PUT_RECORDS, 0, JSON.stringify(rows), 0)
      return
    }
    case 'none':
      message.push(NOTHING, 0, '', 0)
      return
    case 'rotate':
      message.push(ROTATE, 0, '', 0)
      return
    case 'cull':
      message.push(CULL, effect.offset, '', 0)
  }
}

/** Writes a RENEW request. */
export function renewRequest(id: number, renewals: readonly Renewal[]): Flat {
  const message: Flat = [id, RENEW]
  for (const {seq, lastHeartbeatS} of renewals) message.push(seq, lastHeartbeatS)
  return message
}

/** Writes an answer that is a head: to OPEN, or from the thread of a task. */
export function headAnswer(id: number, head: StoreHead): Flat {
  return [id, DONE, head.nextOffset, head.epoch, head.lastHash, head.nextSeq, head.iden, head.firstOffset]
}

/** Reads the answer to OPEN. */
export function decodeHead(answer: Flat): StoreHead {
  return {
    nextOffset: numberAt(answer, BODY),
    epoch: numberAt(answer, BODY + 1),
    lastHash: textAt(answer, BODY + 2),
    nextSeq: numberAt(answer, BODY + 3),
    iden: textAt(answer, BODY + 4),
    firstOffset: numberAt(answer, BODY + 5),
  }
}

/** Reads the answer to SIZE. */
export function decodeSize(answer: Flat): StoreSize & {readonly firstOffset: number} {
  return {
    firstOffset: numberAt(answer, BODY),
    bytes: numberAt(answer, BODY + 1),
    freeBytes: numberAt(answer, BODY + 2),
    isFreeing: numberAt(answer, BODY + 3) === 1,
  }
}

/** Writes the answer of a census: name and value, by turns. */
export function censusAnswer(id: number, census: Readonly<Record<string, number | string>>): Flat {
  return [id, DONE, ...Object.entries(census).flat()]
}

/** Reads the answer of a census. */
export function decodeCensus(answer: Flat): Record<string, number | string> {
  const census: Record<string, number | string> = {}
  for (let at = BODY; at < answer.length; at += 2) census[textAt(answer, at)] = answer[at + 1] ?? ''
  return census
}

/** Reads the answer to INSTANCES. */
export function decodeInstances(answer: Flat): StoredInstance[] {
  const instances: StoredInstance[] = []
  for (let at = BODY; at < answer.length; at += INSTANCE_WIDTH) {
    instances.push({
      seq: numberAt(answer, at),
      service: textAt(answer, at + 1),
      lastHeartbeatS: numberAt(answer, at + 2),
    })
  }
  return instances
}

/** Reads the record changes of an entry. */
export function decodeRecordChanges(text: string): readonly RecordChange[] {
  const rows: readonly (readonly [string, string, string | null])[] = JSON.parse(text)
  return rows.map(([table, key, value]) => ({table, key, value}))
}

/** Reads the answer to RECORDS. */
export function decodeRecords(answer: Flat): StoredRecord[] {
  const records: StoredRecord[] = []
  for (let at = BODY; at < answer.length; at += RECORD_WIDTH) {
    records.push({table: textAt(answer, at), key: textAt(answer, at + 1), value: textAt(answer, at + 2)})
  }
  return records
}

/** Reads the answer to READ. */
export function decodeEntries(answer: Flat): Entry[] {
  const entries: Entry[] = []
  for (let at = BODY; at < answer.length; at += LOG_WIDTH) {
    entries.push({
      offset: numberAt(answer, at),
      epoch: numberAt(answer, at + 1),
      hash: textAt(answer, at + 2),
      timeMs: numberAt(answer, at + 3),
      actor: textAt(answer, at + 4),
      change: textAt(answer, at + 5),
    })
  }
  return entries
}

/** Writes the answer to a request that failed. */
export function failedAnswer(id: number, {code, message, info}: RegistryError): Flat {
  return [id, FAILED, code, message, JSON.stringify(info)]
}

/** Reads the answer to a request that failed. */
export function decodeFailure(answer: Flat): RegistryError {
  const code = textAt(answer, BODY)
  assert(isErrorCode(code), `no error has the code ${code}`)
  return new RegistryError(code, textAt(answer, BODY + 1), {info: JSON.parse(textAt(answer, BODY + 2))})
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text)
}
