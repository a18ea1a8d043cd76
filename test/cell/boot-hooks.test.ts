import {once} from 'node:events'
import {createReadStream} from 'node:fs'
import {chmod, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {BootHooks} from '../../src/cell/boot-hooks.ts'

let base: string
let hooks: string
let cell: string
let logged: [string, Record<string, unknown>][]

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'hooks-')))
  hooks = join(base, 'boothooks')
  cell = join(base, 'cell')
  await mkdir(hooks, {mode: 0o755})
  await mkdir(cell, {mode: 0o700})
  logged = []
})
afterEach(() => rm(base, {recursive: true}))

async function script(name: string, text: string, mode = 0o755): Promise<string> {
  const path = join(hooks, name)
  await writeFile(path, `#!/bin/sh\n${text}\n`)
  await chmod(path, mode)
  return path
}

function find(dir = hooks): Promise<BootHooks> {
  const log = (event: string, fields?: object) => logged.push([event, {...fields}])
  return BootHooks.find({dir, cellDir: cell, log: {info: log, warning: log}})
}

describe('what may be run', () => {
  test('nothing is run where there are no scripts', async () => {
    const found = await find()
    await found.runPreboot()
    found.startConcurrent()
    await found.stop()
    expect(logged).toEqual([])
  })

  test.each([
    [
      'a script that others may write',
      async () => void (await script('preboot.sh', '', 0o775)),
      'others may write to it',
    ],
    ['one that is not executable', async () => void (await script('concurrent.sh', '', 0o644)), 'it is not executable'],
    ['a directory in place of a script', async () => void (await mkdir(join(hooks, 'preboot.sh'))), 'it is no file'],
    ['a directory that others may write', () => chmod(hooks, 0o777), 'others may write to it'],
    ['one that is not there', () => rm(hooks, {recursive: true}), 'ENOENT'],
    ['a link to itself', () => symlink('preboot.sh', join(hooks, 'preboot.sh')), 'ELOOP'],
  ])('%s is refused', async (_, arrange, reason) => {
    await arrange()
    await expect(find()).rejects.toMatchObject({code: 'REG_CONFIG_INVALID', message: expect.stringContaining(reason)})
  })

  test('a directory within the data directory is refused, also by way of a link', async () => {
    const inside = join(cell, 'boothooks')
    await mkdir(inside)
    await symlink(inside, join(base, 'link'))
    for (const dir of [inside, cell, join(base, 'link')]) {
      await expect(find(dir)).rejects.toThrow('it lies within the data directory')
    }
  })

  test('a script is looked at where its link leads', async () => {
    await writeFile(join(base, 'real.sh'), '#!/bin/sh\n')
    await chmod(join(base, 'real.sh'), 0o666)
    await symlink(join(base, 'real.sh'), join(hooks, 'preboot.sh'))
    await expect(find()).rejects.toThrow('others may write to it')
  })
})

describe('preboot.sh', () => {
  test('is waited for, in the data directory, with it as argument', async () => {
    await script('preboot.sh', 'echo "$1 $(pwd)" > made')
    await (await find()).runPreboot()
    expect(await readFile(join(cell, 'made'), 'utf8')).toBe(`${cell} ${cell}\n`)
  })

  test('that fails keeps the server from starting', async () => {
    const path = await script('preboot.sh', 'exit 3')
    const text = `${path} must succeed before the registry starts, and ended with status 3`
    await expect((await find()).runPreboot()).rejects.toMatchObject({code: 'REG_HOOK_FAILED', message: text})
  })

  test('that cannot be started fails as well', async () => {
    await writeFile(join(hooks, 'preboot.sh'), '#!/no/such/shell\n')
    await chmod(join(hooks, 'preboot.sh'), 0o755)
    await expect((await find()).runPreboot()).rejects.toThrow('ENOENT')
  })

  test('is ended by the signal', async () => {
    await script('preboot.sh', 'exec sleep 1000')
    const stop = new AbortController()
    const running = (await find()).runPreboot(stop.signal)
    stop.abort()
    await expect(running).rejects.toThrow('SIGTERM')
  })
})

describe('concurrent.sh', () => {
  test('runs beside the server, and ends with it and all that it started', async () => {
    // The pipe is open for writing as long as the child of the script lives.
    await script('preboot.sh', 'mkfifo "$1/pipe"')
    await script('concurrent.sh', '(echo started; exec sleep 1000) > "$1/pipe" & wait')
    const found = await find()
    await found.runPreboot()
    found.startConcurrent()
    const pipe = createReadStream(join(cell, 'pipe'), 'utf8')
    const [text] = await once(pipe, 'data')
    expect(text).toBe('started\n')
    const ended = once(pipe, 'end')
    pipe.resume()
    await found.stop()
    await found.stop()
    await ended
    expect(logged.at(-1)).toMatchObject(['boothook.ended', {outcome: 'SIGTERM'}])
  })

  test('that ends by itself is said in the log and nothing more', async () => {
    await script('concurrent.sh', 'exit 7')
    const found = await find()
    const said = Promise.withResolvers<void>()
    const push = logged.push.bind(logged)
    logged.push = (...items) => {
      if (items[0]?.[0] === 'boothook.ended') said.resolve()
      return push(...items)
    }
    found.startConcurrent()
    await said.promise
    expect(logged.at(-1)).toMatchObject(['boothook.ended', {outcome: 'status 7'}])
    await found.stop()
  })
})
