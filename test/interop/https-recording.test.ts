import {once} from 'node:events'
import {mkdtemp, readFile, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {expect, test} from 'vitest'
import {PythonProcess} from './synapse-process.ts'

/** The recorder, its recording, and the names that it listens on. */
const RECORDINGS = [
  ['a cell', 'record-https.py', 'https.jsonl', ''],
  ['an AHA', 'record-aha-https.py', 'aha-https.jsonl', 'demo.net'],
] as const

/** Identities that have no name in the recording differ from run to run. */
const blanked = (lines: string) =>
  lines
    .trim()
    .replaceAll(/\b(?!0123456789abcdef)[0-9a-f]{32}\b/g, '{{iden}}')
    .split('\n')

test.each(RECORDINGS)(
  '%s of Synapse answers over HTTPS as it was recorded',
  async (_what, script, recording, names) => {
    const recorder = new URL(script, import.meta.url).pathname
    const vectors = new URL(`../vectors/${recording}`, import.meta.url)
    const home = await mkdtemp(join(tmpdir(), 'registry-https-'))
    try {
      await using python = await PythonProcess.start('https recorder', {args: [recorder], home, names})
      const {stdout} = python.child
      if (stdout === null) throw new Error('no output')
      const [lines] = await Promise.all([text(stdout), once(python.child, 'exit')])
      expect(python.child.exitCode, python.log()).toBe(0)
      expect(blanked(lines)).toEqual(blanked(await readFile(vectors, 'utf8')))
    } finally {
      await rm(home, {recursive: true, force: true})
    }
  },
)
