import {expect, test} from 'vitest'
import {absentIn, ownReport} from '../../src/cli/trim-own.ts'
import {trimText} from '../../src/cli/trim-text.ts'

const WISH = {consumers: ['ssl://root:needle@h'], keep: 0, isForced: true}
const BEFORE = {index: 10, oldest: 0, bytes: 2048}

test('the report of our server names who is away, and tells no passwords', () => {
  const followers = [
    {name: '01', index: 8},
    {name: '02', index: null},
  ]
  const after = {index: 12, oldest: 11, bytes: 1024}
  const report = ownReport('cell:///srv', {trimmedTo: 10, before: BEFORE, after, followers, archivers: []}, WISH, false)
  expect(report.followers).toEqual([
    {name: '01', index: 8, behind: 2, awaited: true, why: null},
    {name: '02', index: null, behind: null, awaited: false, why: '02 is away'},
    {name: 'ssl://root:****@h', index: null, behind: null, awaited: true, why: null},
  ])
  expect(absentIn(report)).toEqual([{name: '02', why: '02 is away', code: 'REG_UNREACHABLE'}])
  const text = trimText(report)
  expect(text).toContain('entries 0 to 10 of cell:///srv are gone')
  expect(text).toMatch(/^size of the database +2 KiB +1 KiB$/m)
  expect(text).toContain('warning: 02 is away; 02 is cut off, and copies all again when it is back')
  expect(text).not.toContain('needle')
})

test('a dry run says what would go', () => {
  const trim = {trimmedTo: 9, before: BEFORE, after: null, followers: [], archivers: []}
  const report = ownReport('cell:///srv', trim, WISH, true)
  expect(report).toMatchObject({changed: false, dryRun: true})
  expect(trimText(report)).toContain('entries 0 to 9 of cell:///srv would go')
  expect(trimText({...report, trimmedTo: null})).toContain('keeps all of its 10 entries')
})

test('who archives the log is waited for where it lacks what goes, and named when it is away', () => {
  const seenMs = Date.parse('2026-11-20T03:00:00Z')
  const archivers = [
    {name: 'a:/kept', index: 8, isAttached: true, seenMs, lacks: true},
    {name: 'b:/kept', index: 7, isAttached: false, seenMs, lacks: true},
    {name: 'c:/kept', index: 9, isAttached: false, seenMs, lacks: false},
  ]
  const report = ownReport(
    'cell:///srv',
    {trimmedTo: 8, before: BEFORE, after: null, followers: [], archivers},
    {...WISH, consumers: []},
    true,
  )
  const why = 'b:/kept, which archives the log, is away since 2026-11-20T03:00:00.000Z and has the entries below 7'
  expect(report.followers).toEqual([
    {name: 'a:/kept', index: 8, behind: 2, awaited: true, why: null},
    {name: 'b:/kept', index: 7, behind: 3, awaited: false, why},
    {name: 'c:/kept', index: 9, behind: 1, awaited: false, why: null},
  ])
  expect(absentIn(report)).toEqual([{name: 'b:/kept', why, code: 'REG_UNREACHABLE'}])
  const text = trimText(report)
  expect(text).toMatch(/^a:\/kept +8 +2 +yes$/m)
  expect(text).toMatch(/^c:\/kept +9 +1 +no: it has what goes$/m)
  expect(text).toContain(`warning: ${why}; b:/kept is cut off, and begins anew with another base when it is back`)
})
