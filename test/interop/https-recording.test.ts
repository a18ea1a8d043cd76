import {once} from 'node:events'
import {mkdtemp, readFile, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {expect, test} from 'vitest'
import {PythonProcess} from './synapse-process.ts'

const recorder = new URL('record-https.py', import.meta.url).pathname
const vectors = new URL('../vectors/https.jsonl', import.meta.url)

/** Identities that have no name in the recording differ from run to run. */
const blanked = (lines: string) =>
  lines
    .trim()
    .replaceAll(/\b(?!0123456789abcdef)[0-9a-f]{32}\b/g, '{{iden}}')
    .split('\n')

test('a real cell answers over HTTPS as it was recorded', async () => {
  const home = await mkdtemp(join(tmpdir(), 'registry-https-'))
  try {
    await using python = await PythonProcess.start('https recorder', {args: [recorder], home})
    const {stdout} = python.child
    if (stdout === null) throw new Error('no output')
    const [lines] = await Promise.all([text(stdout), once(python.child, 'exit')])
    expect(python.child.exitCode, python.log()).toBe(0)
    expect(blanked(lines)).toEqual(blanked(await readFile(vectors, 'utf8')))
  } finally {
    await rm(home, {recursive: true, force: true})
  }
})
