// An archive is compressed: it is begun where the cell itself would not fit, and leaves nothing where it does not fit either.
import {execFile, spawnSync} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import {SqliteStore} from '../../src/store/sqlite.ts'
import {cleanEnv, LAUNCHER} from '../support/cli.ts'

const NAMESPACE = ['--user', '--map-root-user', '--mount', 'sh', '-c']
const MOUNT = 'mount -t tmpfs -o size=8m tmpfs "$0"'
const canMount = spawnSync('unshare', [...NAMESPACE, MOUNT, tmpdir()]).status === 0
let home = ''

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-archive-room-'))
  await mkdir(join(home, 'small'))
})
afterAll(() => rm(home, {recursive: true}))

/** A stopped registry with a file of 12 MB. */
async function cell(name: string, content: Buffer): Promise<string> {
  const dir = join(home, name)
  await mkdir(dir)
  await writeFile(join(dir, 'cell.guid'), 'ab'.repeat(16))
  await writeFile(join(dir, 'large'), content)
  await using store = new SqliteStore(join(dir, 'registry.db'))
  await store.open()
  return dir
}

/** On a volume of 8 MB, which nobody sees afterwards. */
async function backUp(dir: string, file: string, ...flags: readonly string[]): Promise<string> {
  const show = `${MOUNT} || exit 99; ${LAUNCHER} backup "$@" 2>&1; echo "status $?"; ls -A "$0"`
  const args = [...NAMESPACE, show, join(home, 'small'), dir, join(home, 'small', file), ...flags]
  return (await promisify(execFile)('unshare', args, {env: cleanEnv()})).stdout
}

/** Where the system lets us mount one. */
const describeVolume = canMount ? describe : describe.skip

describeVolume('an archive on a small volume', () => {
  test('is made when it fits, where a directory would not', async () => {
    const dir = await cell('repeated', Buffer.alloc(12_000_000, 'again and again '))
    expect(await backUp(dir, 'b.tar.zst', '--archive')).toMatch(/\nstatus 0\nb\.tar\.zst\n$/)
    expect(await backUp(dir, 'b')).toMatch(/REG_DISK_LOW(.|\n)*\nstatus 5\n$/)
  })

  test('leaves nothing when it does not', async () => {
    const dir = await cell('random', randomBytes(12_000_000))
    expect(await backUp(dir, 'b.tar.zst', '--archive')).toMatch(/REG_DISK_LOW(.|\n)*\nstatus 5\n$/)
  })
})
