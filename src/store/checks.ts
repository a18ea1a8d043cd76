import assert from 'node:assert/strict'
import type {NewEntry, RecordChange, Renewal} from './store.ts'

/** Asserts what every engine may expect of entries: there are some, and their times and numbers are whole. Else our own code is wrong. */
export function assertEntries(entries: readonly NewEntry[]): void {
  assert(entries.length > 0, 'append needs at least one entry')
  for (const {timeMs, effect} of entries) {
    assert(Number.isSafeInteger(timeMs), `timeMs ${timeMs} is not a whole number`)
    if (effect.kind === 'records') assertRecords(effect.records)
    if (effect.kind !== 'put') continue
    const {seq, lastHeartbeatS} = effect.instance
    assert(Number.isSafeInteger(seq) && seq >= 0, `seq ${seq} is not a whole number from 0`)
    assertHeartbeat(lastHeartbeatS)
  }
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
