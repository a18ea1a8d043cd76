import {spawnSync} from 'node:child_process'
import {globSync, readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {mentionedCommands, unknownCommands} from './mentions.ts'

const root = new URL('../../', import.meta.url).pathname
const pages = ['README.md', ...globSync('docs/**/*.md', {cwd: root})]

test('the generated files are current', () => {
  const {status, stdout} = spawnSync(process.execPath, ['scripts/generate.ts', '--check'], {
    cwd: root,
    encoding: 'utf8',
  })
  expect({status, stdout}).toEqual({status: 0, stdout: ''})
})

describe.each(pages)('%s', (page) => {
  const text = readFileSync(root + page, 'utf8')

  test('names only commands that exist', () => {
    expect(unknownCommands(mentionedCommands(text))).toEqual([])
  })

  test('links only to files that exist', () => {
    const targets = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target]) => target ?? '')
    const broken = targets
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !exists(new URL(target, `file://${root}${page}`)))
    expect(broken).toEqual([])
  })
})

test('the check of commands finds what does not exist', () => {
  const text = 'Type `registry frobnicate x` or:\n\n```sh\n$ registry service lost\nregistry service list\n```\n'
  expect(unknownCommands(mentionedCommands(text)).toSorted()).toEqual([
    'registry frobnicate x',
    'registry service lost',
  ])
})

function exists(url: URL): boolean {
  return globSync(url.pathname.replace(/\/$/, '')).length > 0
}
