import assert from 'node:assert/strict'
import {RegistryError} from '../base/errors.ts'
import type {Effect, Entry, NewEntry, RecordChange, Renewal} from './store.ts'

/** Asserts what every engine may expect of entries: there are some, and their times and numbers are whole. Else our own code is wrong. */
export function assertEntries(entries: readonly NewEntry[]): void {
  assert(entries.length > 0, 'append needs at least one entry')
  for (const {timeMs, effect, epoch, hash} of entries) {
    assert(Number.isSafeInteger(timeMs), `timeMs ${timeMs} is not a whole number`)
    assert(
      epoch === undefined || (Number.isSafeInteger(epoch) && epoch > 0),
      `epoch ${epoch} is not a whole number from 1`,
    )
    assert(hash === undefined || /^[0-9a-f]{64}$/.test(hash), `${hash} is no hash`)
    assertEffect(effect)
  }
}

function assertEffect(effect: Effect): void {
  if (effect.kind === 'records') assertRecords(effect.records)
  if (effect.kind === 'cull') {
    const {offset} = effect
    assert(Number.isSafeInteger(offset) && offset >= 0, `offset ${offset} is not a whole number from 0`)
  }
  if (effect.kind !== 'put') return
  const {seq, lastHeartbeatS} = effect.instance
  assert(Number.isSafeInteger(seq) && seq >= 0, `seq ${seq} is not a whole number from 0`)
  assertHeartbeat(lastHeartbeatS)
}

/** Asserts that the times of renewals are whole seconds. */
export function assertRenewals(renewals: readonly Renewal[]): void {
  for (const {lastHeartbeatS} of renewals) assertHeartbeat(lastHeartbeatS)
}

function assertRecords(records: readonly RecordChange[]): void {
  for (const {table, key} of records) {
    assert(/^[a-z:]+$/.test(table), `${table} is no name of a table`)
    assert(key !== '' && !key.includes('\0'), 'a key is not empty and has no NUL')
  }
}

function assertHeartbeat(lastHeartbeatS: number): void {
  assert(Number.isSafeInteger(lastHeartbeatS), `lastHeartbeatS ${lastHeartbeatS} is not a whole number`)
}

/**
 * Checks that an entry that comes next has the hash that it must have, and an epoch that is not lower than that of the store.
 *
 * @throws RegistryError `REG_HISTORY_DIFFERS`
 */
export function assertFits(entry: Pick<Entry, 'offset' | 'epoch' | 'hash'>, lastEpoch: number, expected: string): void {
  const {offset, epoch, hash} = entry
  if (epoch < lastEpoch) {
    throw new RegistryError('REG_HISTORY_DIFFERS', `entry ${offset} is of epoch ${epoch}, the store has ${lastEpoch}`, {
      info: {offset},
    })
  }
  if (expected !== '' && hash !== expected) {
    throw new RegistryError('REG_HISTORY_DIFFERS', `entry ${offset} does not follow the entries that are stored here`, {
      info: {offset},
    })
  }
}
