// Writes a database anew, and stops before each thing that it does to a file: it says which, and goes on when it gets a line.
import assert from 'node:assert/strict'
import files from 'node:fs/promises'
import {syncBuiltinESMExports} from 'node:module'
import {relative} from 'node:path'
import {createInterface} from 'node:readline'
import {silentLog} from '../wire/telepath/silent-log.ts'

const [dir = assert.fail()] = process.argv.slice(2)
const input = createInterface({input: process.stdin})
const told = input[Symbol.asyncIterator]()
const verbs = files as unknown as Record<string, (...args: readonly unknown[]) => Promise<unknown>>
for (const verb of ['mkdir', 'open', 'rename', 'rm', 'stat', 'statfs']) {
  const act = verbs[verb] ?? assert.fail()
  verbs[verb] = async (...args) => {
    const places = args.filter((arg) => typeof arg === 'string' && arg.startsWith(dir))
    console.log([verb, ...places.map((place) => relative(dir, String(place)))].join(' '))
    await told.next()
    return await act(...args)
  }
}
syncBuiltinESMExports()
const {compactStore} = await import('../../src/server/compact-store.ts')
const lines: string[] = []
await compactStore(`${dir}/registry.db`, {log: silentLog(lines), minFreePercent: 0, clock: {wallMs: () => 1}})
assert.match(lines.join('\n'), /store\.compacted/)
console.log('done')
input.close()
