// The example of backups, as somebody would run it.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFile} from 'node:fs/promises'
import {text} from 'node:stream/consumers'
import {expect, test} from 'vitest'
import {cleanEnv} from '../support/cli.ts'

const folder = new URL('../../examples/backup/', import.meta.url).pathname
const steps = (output: string) => output.split('\n').filter((line) => line.startsWith('== '))

test('examples/backup proves a backup, loses the registry, and restores it to the moment before a mistake', async () => {
  const child = spawn(`${folder}run.sh`, {env: cleanEnv(), stdio: ['ignore', 'pipe', 'pipe']})
  const [output, talk] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  expect(child.exitCode, `${output}\n${talk}`).toBe(0)
  expect(output).toMatch(/^proven: all \d+ comparisons are right/m)
  expect(output).toMatch(/kept is whole: /)
  const [, restored = ''] = output.split('--to-offset 2\n')
  expect(restored).toContain('change log: up to entry 2,')
  for (const name of ['cam1', 'cam2']) expect(restored).toMatch(new RegExp(`^${name} +camera `, 'm'))
  expect(restored).toMatch(/^status +ok$/m)
  // What its README shows is what it prints.
  const shown = steps(await readFile(`${folder}README.md`, 'utf8'))
  expect(shown.length).toBeGreaterThan(2)
  expect(steps(output)).toEqual(expect.arrayContaining(shown))
})
