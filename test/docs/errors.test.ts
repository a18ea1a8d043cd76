import {globSync, readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {ERRORS, type ErrorSpec} from '../../src/base/errors.ts'
import {unknownCommands} from './mentions.ts'

const root = new URL('../../', import.meta.url).pathname
const sources = globSync('src/**/*.ts', {cwd: root}).filter((file) => file !== 'src/base/errors.ts')
const text = sources.map((file) => readFileSync(root + file, 'utf8')).join('\n')
const page = readFileSync(`${root}docs/errors.md`, 'utf8')
const rows = Object.entries(ERRORS) as readonly (readonly [string, ErrorSpec])[]

describe.each(rows)('%s', (code, {hints, about}) => {
  test('is raised somewhere', () => {
    expect(text).toContain(`'${code}'`)
  })

  test('is documented', () => {
    expect(page).toContain(`### ${code}\n\n${about} `)
  })

  test('points to commands that exist', () => {
    expect(unknownCommands(hints.filter((hint) => hint.startsWith('registry ')))).toEqual([])
  })
})

test('no code is used that is not in the table', () => {
  const used = new Set(text.match(/'REG_[A-Z_]+[A-Z]'/g)?.map((quoted) => quoted.slice(1, -1)))
  expect([...used].filter((code) => !(code in ERRORS))).toEqual([])
})
