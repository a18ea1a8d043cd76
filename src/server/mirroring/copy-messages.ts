/** What travels of a copy: `{id, size, sha256, head, first, cell}`, then `{at, bytes}` again and again. */
import {fieldsOf, oddAnswer} from '../../client/admin-values.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {SnapshotPiece, SnapshotStart} from './snapshots.ts'

/** What a copy will be, and of which cell. */
export interface CopyStart extends SnapshotStart {
  /** Of the cell, which all its members share. */
  readonly cellIden: string
}

export type CopyItem = CopyStart | SnapshotPiece

const METHOD = 'iterSnapshot'
const IDEN = /^[0-9a-f]{32}$/
const HASH = /^[0-9a-f]{64}$/

/** Tells the first item from the others. */
export function isStart(item: SnapshotStart | SnapshotPiece): item is SnapshotStart {
  return 'id' in item
}

export function packStart({id, sizeBytes, sha256, head}: SnapshotStart, cellIden: string): Value {
  const {nextOffset, epoch, lastHash, firstOffset} = head
  return {id, size: sizeBytes, sha256, head: {nextOffset, epoch, lastHash}, first: firstOffset, cell: cellIden}
}

export function packPiece({at, bytes}: SnapshotPiece): Value {
  return {at, bytes}
}

/** Reads an item. @throws RegistryError `REG_BAD_ANSWER` */
export function readCopyItem(value: Value): CopyStart | SnapshotPiece {
  const of = fieldsOf(value, METHOD)
  if ('bytes' in of) return {at: wholeOf(of['at'], 'at'), bytes: bytesOf(of['bytes'])}
  const head = fieldsOf(of['head'], 'head')
  return {
    id: textOf(of['id'], IDEN, 'id'),
    sizeBytes: wholeOf(of['size'], 'size'),
    sha256: textOf(of['sha256'], HASH, 'sha256'),
    head: {
      nextOffset: wholeOf(head['nextOffset'], 'nextOffset'),
      epoch: wholeOf(head['epoch'], 'epoch'),
      lastHash: textOf(head['lastHash'], HASH, 'lastHash'),
      firstOffset: wholeOf(of['first'], 'first'),
    },
    cellIden: textOf(of['cell'], IDEN, 'cell'),
  }
}

function wholeOf(value: Value, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw oddAnswer(what, 'it is no whole number')
}

function textOf(value: Value, form: RegExp, what: string): string {
  if (typeof value === 'string' && form.test(value)) return value
  throw oddAnswer(what, `it does not match ${form.source}`)
}

function bytesOf(value: Value): Uint8Array {
  if (value instanceof Uint8Array && value.length > 0) return value
  throw oddAnswer('bytes', 'they are none')
}
