// The example with two registries, as somebody would run it.
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFile} from 'node:fs/promises'
import {text} from 'node:stream/consumers'
import {expect, test} from 'vitest'
import {cleanEnv} from '../support/cli.ts'

const folder = new URL('../../examples/mirror-pair/', import.meta.url).pathname
const steps = (output: string) => output.split('\n').filter((line) => line.startsWith('== '))

test('examples/mirror-pair moves the lead, loses the leader, and ends with both in one cell', async () => {
  const child = spawn(`${folder}run.sh`, {env: cleanEnv(), stdio: ['ignore', 'pipe', 'pipe']})
  const [output, talk] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  expect(child.exitCode, `${output}\n${talk}`).toBe(0)
  expect(output).toContain('two.demo.net leads now\n')
  expect(output).toContain('one.demo.net leads now\n')
  const [, left = ''] = output.split('it hears who leads, and follows\n')
  expect(left).toMatch(/^status +ok$/m)
  expect(left).toMatch(/^services +2, 0 of them critical$/m)
  expect(left).toMatch(/^two\.demo\.net +mirror +yes +\d+ +0 /m)
  // What its README shows is what it prints.
  const shown = steps(await readFile(`${folder}README.md`, 'utf8'))
  expect(shown.length).toBeGreaterThan(2)
  expect(steps(output)).toEqual(expect.arrayContaining(shown))
})
