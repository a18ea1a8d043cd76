import type {Command} from '@oclif/core'
import {describe, expect, test} from 'vitest'
import {unwrapped, usageOf} from '../../src/cli/help-text.ts'

function usage(flags: Readonly<Record<string, object>>, args: Readonly<Record<string, object>> = {}): string {
  const named = (map: Readonly<Record<string, object>>) =>
    Object.fromEntries(Object.entries(map).map(([name, item]) => [name, {name, type: 'option', ...item}]))
  return usageOf({args: named(args), flags: named(flags)} as unknown as Command.Loadable)
}

describe('the usage of a command', () => {
  test('names what has to be given first, and then what may be', () => {
    const flags = {force: {type: 'boolean'}, output: {required: true, helpValue: '<file>'}}
    expect(usage(flags, {name: {required: true}, url: {}, old: {hidden: true}})).toBe(
      '<%= command.id %> NAME [URL] --output <file> [--force]',
    )
  })

  test('shows what a flag takes', () => {
    const flags = {
      kind: {options: ['ca', 'host']},
      tag: {multiple: true},
      'allow-plain': {type: 'boolean', allowNo: true},
    }
    expect(usage(flags)).toBe('<%= command.id %> [--kind ca|host] [--tag <value>...] [--[no-]allow-plain]')
  })

  test('of flags that exclude each other names each', () => {
    expect(usage({watch: {type: 'boolean'}, verify: {type: 'boolean', exclusive: ['watch']}})).toBe(
      '<%= command.id %> [--watch] [--verify]',
    )
  })

  test('leaves groups, and very many flags, to the lists below', () => {
    expect(usage({yes: {type: 'boolean'}, url: {helpGroup: 'CELL'}})).toBe('<%= command.id %> [--yes] [FLAGS]')
    const many = Object.fromEntries(Array.from({length: 10}, (_, index) => [`flag-${index}`, {}]))
    expect(usage({...many, must: {required: true}})).toBe('<%= command.id %> --must <value> [FLAGS]')
  })
})

test('a paragraph is one line, whatever the source does; empty lines and lists stay', () => {
  expect(unwrapped('one\ntwo  \nthree\n\nfour\n  - five\n  - six')).toBe('one two three\n\nfour\n  - five\n  - six')
})
