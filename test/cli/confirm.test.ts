import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {confirm} from '../../src/cli/confirm.ts'
import {readPassword} from '../../src/cli/read-password.ts'

const NOBODY = {isAskable: false, signal: new AbortController().signal}

describe('what takes something away', () => {
  test('goes on with --yes', async () => {
    await confirm({what: 'remove it', name: 'it'}, {...NOBODY, isGiven: true})
  })

  test('is refused where nobody can be asked', async () => {
    await expect(confirm({what: 'remove it'}, {...NOBODY, isGiven: false})).rejects.toMatchObject({
      code: 'REG_USAGE',
      message: 'nobody can be asked whether to remove it: nothing was done',
      hints: ['give --yes', 'give --dry-run to see what would be done'],
    })
  })
})

describe('a password from a file', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'registry-passwd-'))
  })
  afterAll(() => rm(dir, {recursive: true}))

  const read = async (content: string | Buffer) => {
    const file = join(dir, 'passwd')
    await writeFile(file, content)
    return await readPassword({'passwd-file': file}, NOBODY)
  }

  test.each([
    ['secret', 'secret'],
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    [' sécret ', ' sécret '],
    ['x'.repeat(4096), 'x'.repeat(4096)],
  ])('%j is read', async (content, password) => {
    expect((await read(content)).reveal()).toBe(password)
  })

  test('does not show itself', async () => {
    expect(JSON.stringify({password: await read('needle')})).not.toContain('needle')
  })

  test.each<[string, string | Buffer, string]>([
    ['nothing', '', 'it is empty'],
    ['a newline only', '\n', 'it is empty'],
    ['two lines', 'a\nb\n', 'more than one line'],
    ['too much', 'x'.repeat(4097), 'longer than 4096 bytes'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe]), 'no UTF-8'],
  ])('is refused: %s', async (_, content, why) => {
    await expect(read(content)).rejects.toMatchObject({code: 'REG_USAGE', message: expect.stringContaining(why)})
  })

  test('is refused: one that is not there', async () => {
    const wish = {'passwd-file': join(dir, 'nothing')}
    await expect(readPassword(wish, NOBODY)).rejects.toMatchObject({message: expect.stringContaining('ENOENT')})
  })

  test('is needed where nobody can be asked', async () => {
    await expect(readPassword({}, NOBODY)).rejects.toMatchObject({
      code: 'REG_USAGE',
      hints: ['give --passwd-file FILE', 'give --passwd-stdin'],
    })
  })
})
