/** Holds the write lock of the database at PATH from the line `held` on, until its input ends. */
import assert from 'node:assert/strict'
import {DatabaseSync} from 'node:sqlite'

const [, , path = assert.fail('no path')] = process.argv
const database = new DatabaseSync(path)
database.exec('BEGIN EXCLUSIVE')
process.stdin.resume()
process.stdin.on('end', () => database.close())
console.log('held')
