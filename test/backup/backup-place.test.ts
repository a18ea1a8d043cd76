import {mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {assertArchiveName} from '../../src/backup/archive-file.ts'
import {assertOutsideOthers} from '../../src/backup/backup-place.ts'

const refusal = (message: RegExp) =>
  expect.objectContaining({code: 'REG_CONFLICT', message: expect.stringMatching(message)})

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'registry-place-'))
})
afterEach(() => rmSync(home, {recursive: true, force: true}))

function write(path: string, content = ''): void {
  mkdirSync(dirname(join(home, path)), {recursive: true})
  writeFileSync(join(home, path), content)
}

const at = (path: string) => assertOutsideOthers(join(home, path))

describe('the place of a new backup', () => {
  test('may be beside others, in directories that are not there yet', async () => {
    write('shelf/b1/backup.json')
    write('shelf/b1/cell.guid')
    for (const place of ['shelf/b2', 'shelf/more/b2', 'else/where/b', 'shelf/b1']) await at(place)
  })

  test('is not in another backup, at any depth and through links', async () => {
    write('shelf/b1/backup.json')
    write('shelf/b1/cell.guid')
    mkdirSync(join(home, 'shelf/b1/certs'))
    symlinkSync('shelf/b1/certs', join(home, 'link'))
    for (const place of ['shelf/b1/b2', 'shelf/b1/certs/x/y', 'shelf/b1/backups/b2', 'link/b2'])
      await expect(at(place)).rejects.toEqual(refusal(/would lie in the backup .*shelf\/b1, which would not be whole/))
  })

  test('is not in what is followed into', async () => {
    write('kept/follow.json')
    for (const place of ['kept/b', 'kept/history-1/b'])
      await expect(at(place)).rejects.toEqual(refusal(/which is what registry backup follow keeps/))
  })

  test('is in a data directory only where that has its backups', async () => {
    for (const file of ['cell.guid', 'lock.db', 'registry.db']) write(`cell/${file}`)
    write('cell/cell.yaml', 'backup:dir: shelf/own\n')
    for (const place of ['cell/b', 'cell/tmp/b', 'cell/backups2/b', 'cell/shelf/b'])
      await expect(at(place)).rejects.toEqual(refusal(/would lie in the data directory .*cell, and in each backup/))
    for (const place of ['cell/backups/b', 'cell/shelf/own/b', 'cell/backups']) await at(place)
  })

  test('may be on the shelf of a cell that runs on what was a backup', async () => {
    for (const file of ['backup.json', 'cell.guid', 'lock.db']) write(`cell/${file}`)
    await at('cell/backups/b')
    await expect(at('cell/b')).rejects.toEqual(refusal(/data directory/))
  })
})

describe('the name of an archive', () => {
  test.each([
    ['a.tar.zst.age', false, /not be encrypted/],
    ['a.age', false, /not be encrypted/],
    ['a.tar.gz', false, /its name says gzip/],
    ['a.tgz', true, /its name says gzip/],
    ['a.tar.gz.age', true, /its name says gzip/],
  ])('%s does not say what the file is not (encrypted: %s)', (name, isEncrypted, message) => {
    expect(() => assertArchiveName(name, isEncrypted)).toThrow(message)
  })

  test.each([
    ['a.tar.zst', false],
    ['a.tar.zst.age', true],
    ['nightly', false],
    ['nightly', true],
  ])('%s says nothing wrong (encrypted: %s)', (name, isEncrypted) => {
    expect(() => assertArchiveName(name, isEncrypted)).not.toThrow()
  })
})
