/** The thread that owns the database file: takes requests one after the other and answers each, in order (sqlite-messages.ts). */
import assert from 'node:assert/strict'
import {parentPort} from 'node:worker_threads'
import {SpentMemory} from '../base/spent-memory.ts'
import {asStoreError} from './sqlite-errors.ts'
import {SqliteFile} from './sqlite-file.ts'
import {
  APPEND,
  BODY,
  CLOSE,
  DONE,
  type Flat,
  FREEZE,
  failedAnswer,
  headAnswer,
  INSTANCES,
  numberAt,
  OPEN,
  PROBE,
  READ,
  RECORDS,
  RENEW,
  SIZE,
  THAW,
  textAt,
} from './sqlite-messages.ts'

assert(parentPort !== null, 'this file runs in a worker thread')
const port = parentPort
const FREE_AGAIN_MS = 500
const NAMES: Readonly<Record<number, string>> = {
  [OPEN]: 'open',
  [INSTANCES]: 'read the instances of',
  [APPEND]: 'write to',
  [RENEW]: 'write to',
  [READ]: 'read the log of',
  [RECORDS]: 'read the records of',
  [SIZE]: 'look at',
  [PROBE]: 'write to',
  [FREEZE]: 'freeze',
  [CLOSE]: 'close',
}

let place = ''
let open: SqliteFile | undefined
let spent: SpentMemory | undefined
/** Whether what is empty in it is given back. */
let frees = true
/** A step is due. */
let isFreeing = false
/** The next step waits, as something was in the way. */
let retry: NodeJS.Timeout | undefined

port.on('message', (request: Flat) => {
  const id = numberAt(request, 0)
  const operation = numberAt(request, 1)
  try {
    const answer: Flat = [id, DONE]
    perform(operation, request, answer)
    port.postMessage(answer)
  } catch (error) {
    port.postMessage(failedAnswer(id, asStoreError(error, NAMES[operation] ?? 'use', place)))
  }
  if (operation === CLOSE) {
    clearTimeout(retry)
    port.close()
    return
  }
  open?.tidy()
  freeSoon()
  spent?.worked()
  // When the answer is on its way.
  if (operation === OPEN) spent = new SpentMemory()
})

/** Frees what culled entries took, a little at a time, whenever all requests are answered. */
function freeSoon(): void {
  if (!frees || isFreeing || retry !== undefined || open === undefined) return
  isFreeing = true
  setImmediate(() => {
    isFreeing = false
    const next = open?.free()
    if (next === 'more') freeSoon()
    // Something is in the way: no room, a lock, a reader of what the WAL holds.
    if (next === 'later') retry = setTimeout(freeAgain, FREE_AGAIN_MS)
  })
}

function freeAgain(): void {
  retry = undefined
  freeSoon()
}

function perform(operation: number, request: Flat, answer: Flat): void {
  if (operation === OPEN) {
    place = textAt(request, BODY)
    frees = numberAt(request, BODY + 1) === 1
    open = new SqliteFile(place)
    answer.push(...headAnswer(0, open.head).slice(BODY))
    return
  }
  if (operation === CLOSE) {
    const file = open
    open = undefined
    file?.close()
    return
  }
  assert(open !== undefined, 'the file is not open')
  performOnFile(open, operation, request, answer)
}

function performOnFile(file: SqliteFile, operation: number, request: Flat, answer: Flat): void {
  switch (operation) {
    case APPEND:
      answer.push(...file.append(request))
      return
    case RENEW:
      file.renew(request)
      return
    case INSTANCES:
      file.instances(answer, numberAt(request, BODY), numberAt(request, BODY + 1))
      return
    case READ:
      file.read(answer, numberAt(request, BODY), numberAt(request, BODY + 1))
      return
    case RECORDS:
      file.records(answer, {
        table: textAt(request, BODY),
        key: textAt(request, BODY + 1),
        limit: numberAt(request, BODY + 2),
        isOneTable: numberAt(request, BODY + 3) === 1,
      })
      return
    case SIZE: {
      const {bytes, freeBytes, isFreeing} = file.size
      answer.push(file.head.firstOffset, bytes, freeBytes, frees && isFreeing ? 1 : 0)
      return
    }
    case FREEZE:
      file.freeze()
      return
    case THAW:
      file.thaw()
      return
    case PROBE:
      file.probe()
      return
    default:
      assert.fail(`no operation ${operation}`)
  }
}
