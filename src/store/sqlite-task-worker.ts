/** The thread of one task on a whole database file (sqlite-task.ts): does it, answers, and ends. */
import assert from 'node:assert/strict'
import {accessSync, constants} from 'node:fs'
import {DatabaseSync} from 'node:sqlite'
import {parentPort, workerData} from 'node:worker_threads'
import {censusOf} from './sqlite-census.ts'
import {asStoreError, damagedFile} from './sqlite-errors.ts'
import {SqliteLog} from './sqlite-log.ts'
import {censusAnswer, type Flat, failedAnswer, headAnswer} from './sqlite-messages.ts'
import {BUSY_TIMEOUT_MS, readHead} from './sqlite-open.ts'
import {versionOf} from './sqlite-schema.ts'
import type {FileTask} from './sqlite-task.ts'
import type {StoreHead} from './store.ts'

/** Files of version 1 have no records. */
const WITH_RECORDS = 2

assert(parentPort !== null, 'this file runs in a worker thread')
const task: FileTask = workerData
try {
  parentPort.postMessage(answerOf(task))
} catch (error) {
  parentPort.postMessage(failedAnswer(0, asStoreError(error, task.kind, task.path)))
}

function answerOf(task: FileTask): Flat {
  if (task.kind !== 'census' && task.kind !== 'record') return headAnswer(0, perform(task))
  const {path} = task
  if (task.kind === 'record') {
    const {table, key} = task
    return withFile(path, true, (database, version) => [
      ...headAnswer(0, headOf(database, path)),
      ...(version < WITH_RECORDS ? [] : recordOf(database, table, key)),
    ])
  }
  return withFile(path, true, (database, version) => censusAnswer(0, censusOf(database, path, version)))
}

/** Gives the value of a record; nothing where there is none. */
function recordOf(database: DatabaseSync, table: string, key: string): readonly string[] {
  const row = database.prepare('SELECT value FROM records WHERE kind = ? AND key = ?').get(table, key)
  return row === undefined ? [] : [String(row['value'])]
}

function perform(task: Exclude<FileTask, {kind: 'census' | 'record'}>): StoreHead {
  switch (task.kind) {
    case 'copy':
      return copy(task.from, task.path)
    case 'adopt':
      accessSync(task.path, constants.R_OK | constants.W_OK) // SQLite would make it
      return withFile(task.path, false, (database) => {
        database.prepare('UPDATE head SET iden = ?').run(task.iden)
        return headOf(database, task.path)
      })
    case 'verify':
      return withFile(task.path, true, (database) => verify(database, task))
  }
}

/** The caller sees to it that the copy comes to the disk, a little at a time: SQLite would bring all of it there at once, in the end. */
function copy(from: string, path: string): StoreHead {
  withDatabase(from, true, (source) => {
    source.exec('PRAGMA synchronous = OFF')
    source.prepare('VACUUM INTO ?').run(path)
  })
  return withFile(path, true, (database) => headOf(database, path))
}

function verify(database: DatabaseSync, {path, nextOffset, lastHash}: Extract<FileTask, {kind: 'verify'}>): StoreHead {
  const found = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {})[0]
  if (found !== 'ok') throw damagedFile(path, `${found}`)
  const head = readHead(database, path)
  if (head.nextOffset !== nextOffset) {
    throw damagedFile(
      path,
      `its log ends before entry ${head.nextOffset}, expected before entry ${nextOffset}`,
      nextOffset,
    )
  }
  if (head.lastHash !== lastHash) throw damagedFile(path, 'its newest entry is not the expected one', nextOffset - 1)
  new SqliteLog(database, path).verifyAll(head)
  return headOf(database, path)
}

function headOf(database: DatabaseSync, path: string): StoreHead {
  return {...readHead(database, path), firstOffset: new SqliteLog(database, path).firstOffset}
}

/** Opens a file of ours. */
function withFile<T>(path: string, readOnly: boolean, use: (database: DatabaseSync, version: number) => T): T {
  return withDatabase(path, readOnly, (database) => {
    const version = versionOf(database, path)
    if (version === 0) throw damagedFile(path, 'it is empty')
    return use(database, version)
  })
}

function withDatabase<T>(path: string, readOnly: boolean, use: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path, {readOnly, timeout: BUSY_TIMEOUT_MS})
  try {
    return use(database)
  } finally {
    database.close()
  }
}
