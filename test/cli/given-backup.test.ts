// What is said of a place that is no backup: which one, and what to type next for that very place.
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {openBackup} from '../../src/backup/open-backup.ts'
import {RegistryError} from '../../src/base/errors.ts'
import {onBackup} from '../../src/cli/given-backup.ts'

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'given-'))
  await mkdir(join(home, 'shelf', 'cell'), {recursive: true})
  await writeFile(join(home, 'shelf', 'cell', 'cell.guid'), 'cd'.repeat(16))
  await mkdir(join(home, 'shelf', 'altered'))
  await writeFile(join(home, 'shelf', 'altered', 'cell.guid'), 'cd'.repeat(16))
  await writeFile(join(home, 'shelf', 'altered', 'backup.json'), '{}')
  await writeFile(join(home, 'shelf', 'notes.txt'), 'x'.repeat(2000))
})
afterAll(() => rm(home, {recursive: true}))

async function refusalOf(name: string): Promise<RegistryError> {
  const path = join(home, name)
  const error = await onBackup(path, async () => await openBackup(path)).catch((thrown: unknown) => thrown)
  if (error instanceof RegistryError) return error
  throw new Error(`${name} was taken`)
}

describe('a place that is no backup', () => {
  test.each([
    ['what is not there', 'shelf/nothing', 'shelf'],
    ['the data directory of a cell', 'shelf/cell', 'shelf'],
    ['a file', 'shelf/notes.txt', 'shelf'],
    ['a directory of backups', 'shelf', 'shelf'],
  ])('is named with the directory to look in: %s', async (_, name, shelf) => {
    const {code, message, hints} = await refusalOf(name)
    expect(code).toBe('REG_BACKUP_INVALID')
    expect(message).toContain(join(home, name))
    expect(hints).toContain(`see what else is there: registry backup list ${join(home, shelf)}`)
  })

  test('and may be a copy of a service, is backed up', async () => {
    const cell = join(home, 'shelf', 'cell')
    expect((await refusalOf('shelf/cell')).hints).toContain(
      `of a service that is stopped: registry backup ${cell} TARGET`,
    )
  })

  test('but was one, of which the manifest is damaged, is no service to back up', async () => {
    const {hints} = await refusalOf('shelf/altered')
    expect(hints).toEqual([
      `see what else is there: registry backup list ${join(home, 'shelf')}`,
      'make another one: registry livebackup, or registry backup SOURCE TARGET',
    ])
  })

  test('or one that is damaged, is shown what to look at, but is no service to back up', async () => {
    const cell = join(home, 'shelf', 'cell')
    const thrown = onBackup(cell, () =>
      Promise.reject(new RegistryError('REG_BACKUP_DAMAGED', 'registry.db was altered')),
    )
    await expect(thrown).rejects.toMatchObject({
      code: 'REG_BACKUP_DAMAGED',
      hints: [
        `see each file that is not as it was: registry backup verify ${cell}`,
        `see what else is there: registry backup list ${join(home, 'shelf')}`,
        'make another one: registry livebackup, or registry backup SOURCE TARGET',
      ],
    })
  })

  test('far from any directory has no such hint', async () => {
    const {hints} = await refusalOf('no/such/place')
    expect(hints).toEqual(['make another one: registry livebackup, or registry backup SOURCE TARGET'])
  })

  test.each([
    ['as the system says it', (cause: Error) => cause],
    ['as the reason that it is none', (cause: Error) => new RegistryError('REG_BACKUP_INVALID', 'no', {cause})],
  ])('may be one that this user cannot read: %s', async (_, make) => {
    const cause = Object.assign(new Error('EACCES: permission denied'), {code: 'EACCES'})
    const thrown = onBackup(home, () => Promise.reject(make(cause)))
    await expect(thrown).rejects.toMatchObject({code: 'REG_DIR_UNUSABLE', message: `this user may not read ${home}`})
  })

  test('whose error knows better keeps what that says', async () => {
    const known = new RegistryError('REG_BACKUP_INVALID', 'it is strange', {hints: ['look at it']})
    const thrown = onBackup(home, () => Promise.reject(known))
    await expect(thrown).rejects.toMatchObject({message: `${home}: it is strange`, hints: ['look at it']})
  })
})
