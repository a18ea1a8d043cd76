import {expect, test} from 'vitest'
import {archiverFacts, archiverHealth} from '../../src/server/archiver-report.ts'
import type {Archiver} from '../../src/server/archivers.ts'

const NOW = 1_800_000_000_000
const HOUR_MS = 3_600_000

function one(some: Partial<Archiver>): Archiver {
  const place = {archiver: 'a'.repeat(32), name: 'host:/srv/kept', isOnce: false, index: 10}
  return {...place, seenMs: NOW, attachedMs: NOW - HOUR_MS, movedMs: NOW, ...some}
}
const health = (some: Partial<Archiver>) => archiverHealth([one(some)], 10, NOW)

test('nothing is said where nobody archives the log, and of one that has all of it that it is there', () => {
  expect(archiverHealth([], 10, NOW)).toBeUndefined()
  expect(health({})).toEqual({status: 'nominal', mesg: '', data: {known: 1, attached: 1, still: 0}})
})

test('one that is there and does not get on for a minute degrades the health', () => {
  expect(health({index: 4, movedMs: NOW - 60_000})).toMatchObject({status: 'nominal', mesg: ''})
  expect(health({index: 4, movedMs: NOW - 60_001})).toMatchObject({
    status: 'degraded',
    mesg: 'host:/srv/kept stands still: at index 4, 6 behind, for 1m',
  })
  expect(health({movedMs: NOW - HOUR_MS})).toMatchObject({status: 'nominal'})
})

test('one that is away is told; one that is to be there always degrades the health after an hour', () => {
  const away = {index: 4, attachedMs: null, seenMs: NOW - HOUR_MS}
  expect(health(away)).toMatchObject({
    status: 'nominal',
    mesg: expect.stringContaining('is away: at index 4, 6 behind'),
  })
  expect(health({...away, seenMs: NOW - HOUR_MS - 1})).toMatchObject({status: 'degraded'})
  expect(health({...away, seenMs: NOW - 24 * HOUR_MS, isOnce: true})).toMatchObject({status: 'nominal'})
})

test('the report of the cell has each with its lag', () => {
  const away = one({index: 4, attachedMs: null, seenMs: NOW - 5})
  const about = {name: 'host:/srv/kept', once: false}
  expect(archiverFacts([one({}), away], 10)).toEqual([
    {...about, index: 10, behind: 0, attached: true, since: NOW - HOUR_MS},
    {...about, index: 4, behind: 6, attached: false, since: NOW - 5},
  ])
})
