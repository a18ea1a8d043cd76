/**
 * Prints `ready`, waits for a line, and takes DIR: prints `locked` or `refused CODE PID`. Holds it, with ports announced, until its input
 * ends.
 */
import assert from 'node:assert/strict'
import {once} from 'node:events'
import {RegistryError} from '../../src/base/errors.ts'
import {lockCellDir} from '../../src/cell/dirs.ts'

const [, , directory = assert.fail('no directory')] = process.argv
console.log('ready')
await once(process.stdin, 'data')
const ended = once(process.stdin.resume(), 'end')
try {
  await using cell = await lockCellDir(directory)
  await cell.announce({
    zeromq: {bind: '127.0.0.1', req: 1001, pub: 1002, hb: 1003, rep: null},
    telepath: {socket: null, url: null},
    provision: null,
    https: null,
  })
  console.log('locked')
  await ended
} catch (error) {
  assert(error instanceof RegistryError)
  console.log(`refused ${error.code} ${error.info['pid']}`)
}
process.stdin.destroy()
