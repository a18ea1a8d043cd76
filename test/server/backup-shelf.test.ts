import {mkdtemp, rename, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {BackupShelf} from '../../src/server/backup-shelf.ts'
import {makeBackup} from '../support/made-backup.ts'

describe('the shelf of a cell', () => {
  let home: string
  let dir: string
  let shelf: BackupShelf
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'registry-shelf-'))
    dir = join(home, 'backups')
    shelf = new BackupShelf(dir, () => 'cd'.repeat(16))
  })
  afterEach(() => rm(home, {recursive: true}))

  test('knows the newest backup of its cell, and none where there is no directory', async () => {
    await shelf.refresh()
    expect(shelf.last).toBeUndefined()
    await makeBackup(join(dir, 'first'))
    await makeBackup(join(dir, 'second'), undefined, {madeAt: '2026-11-21T13:00:00.000Z'})
    await makeBackup(join(dir, 'other'), undefined, {
      madeAt: '2026-11-21T14:00:00.000Z',
      cell: {kind: 'registry', iden: 'ef'.repeat(16), type: 'registry', name: '01.demo.net', version: '0.1.0'},
    })
    await shelf.refresh()
    expect(shelf.last).toEqual({name: 'second', atMs: Date.parse('2026-11-21T13:00:00.000Z')})
  })

  test('is looked at once at a time: who comes meanwhile sees what was put there meanwhile', async () => {
    await makeBackup(join(dir, 'first'))
    await makeBackup(join(home, 'second'), undefined, {madeAt: '2026-11-21T13:00:00.000Z'})
    const first = shelf.refresh()
    const moved = rename(join(home, 'second'), join(dir, 'second'))
    const meanwhile = [shelf.refresh(), shelf.refresh()]
    expect(meanwhile[0]).not.toBe(first)
    expect(meanwhile[1]).toBe(meanwhile[0])
    await Promise.all([first, moved])
    const later = [shelf.refresh(), shelf.refresh()]
    await Promise.all([...meanwhile, ...later])
    expect(shelf.last?.name).toBe('second')
    const next = shelf.refresh()
    expect(next).not.toBe(later[1])
    await next
  })
})
