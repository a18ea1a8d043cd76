import assert from 'node:assert/strict'
import {describe, test} from 'vitest'
import {CHAIN_START, chainHash, FIRST_PREVIOUS_HASH, verifyChain} from '../../src/store/chain.ts'
import type {Entry} from '../../src/store/store.ts'

function chain(length: number): Entry[] {
  const entries: Entry[] = []
  let previous = FIRST_PREVIOUS_HASH
  for (let offset = 0; offset < length; offset++) {
    const entry = {offset, epoch: 1, timeMs: 1000 + offset, actor: `a${offset}`, change: `{"n":${offset}}`}
    previous = chainHash(previous, offset, 1, entry.timeMs, entry.actor, entry.change)
    entries.push({...entry, hash: previous})
  }
  return entries
}

describe('the hash chain', () => {
  test('the worked example of chain.ts has the hash that stands there', () => {
    const hash = chainHash(FIRST_PREVIOUS_HASH, 0, 1, 1_700_000_000_000, 'zmq:anon/6b', '{"kind":"x"}')
    assert.equal(hash, '401dc8ac3fa5bc9c5d70b02bd8e9d982ef36de3cbce904bbec02c7e55f610666')
  })

  test('text that moves between actor and change, or a digit between numbers, changes the hash', () => {
    const hash = (offset: number, epoch: number, actor: string, change: string) =>
      chainHash(FIRST_PREVIOUS_HASH, offset, epoch, 5, actor, change)
    const hashes = [hash(1, 1, 'a', 'bc'), hash(1, 1, 'ab', 'c'), hash(11, 1, 'a', 'bc'), hash(1, 11, 'a', 'bc')]
    assert.equal(new Set([...hashes, hash(1, 1, '1\nbc', ''), hash(1, 1, '', 'abc')]).size, 6)
  })

  test('a whole chain is intact, in one run or in several', () => {
    const entries = chain(10)
    const whole = verifyChain(entries, CHAIN_START)
    assert.deepEqual(whole, {kind: 'intact', end: {nextOffset: 10, lastHash: entries[9]?.hash}})
    const first = verifyChain(entries.slice(0, 4), CHAIN_START)
    assert(first.kind === 'intact')
    assert.deepEqual(verifyChain(entries.slice(4), first.end), whole)
    assert.deepEqual(verifyChain([], first.end), first)
  })

  test.each(['epoch', 'timeMs', 'actor', 'change', 'hash'] as const)('a changed %s is found at its entry', (field) => {
    const entries = chain(10)
    const old = entries[6]
    assert(old !== undefined)
    const value = typeof old[field] === 'number' ? old[field] + 1 : old[field].replace(/.$/, '~')
    entries[6] = {...old, [field]: value}
    const verdict = verifyChain(entries, CHAIN_START)
    assert(verdict.kind === 'damaged')
    assert.equal(verdict.offset, 6)
  })

  test.each([0, 5])('a missing entry %i is found', (offset) => {
    const entries = chain(10).filter((entry) => entry.offset !== offset)
    const verdict = verifyChain(entries, CHAIN_START)
    assert(verdict.kind === 'damaged')
    assert.equal(verdict.offset, offset)
  })

  test('a chain that was made anew from some entry on does not follow the old place', () => {
    const [first] = chain(1)
    const forged = chain(3).slice(1)
    const verdict = verifyChain(forged, {nextOffset: 1, lastHash: `f${first?.hash.slice(1)}`})
    assert(verdict.kind === 'damaged')
    assert.equal(verdict.offset, 1)
  })
})
