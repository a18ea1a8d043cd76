import {describe, expect, test} from 'vitest'
import {behindDashes, misspeltSubcommand, ownPart, readRequest, suggestCommand, wantsJson} from '../../src/cli/words.ts'

const names = {
  commands: [
    {id: 'backup'},
    {id: 'backup:list'},
    {id: 'backup:verify'},
    {id: 'complete', hidden: true},
    {id: 'config:show'},
    {id: 'help'},
    {id: 'serve'},
    {id: 'service:list'},
    {id: 'service:register'},
    {id: 'status'},
  ],
  topics: [{name: 'service'}, {name: 'config'}, {name: 'backup'}],
}
const read = (line: string) => readRequest(line === '' ? [] : line.split(' '), names)

describe('a command line', () => {
  test.each([
    ['serve', 'serve', []],
    ['serve ./dir --bind ::1', 'serve', ['./dir', '--bind', '::1']],
    ['service list --json', 'service:list', ['--json']],
    ['service:list', 'service:list', []],
    ['backup list', 'backup:list', []],
    ['backup a b', 'backup', ['a', 'b']],
    ['backup ./list b', 'backup', ['./list', 'b']],
    ['--json service list --type x', 'service:list', ['--type', 'x', '--json']],
    ['service register -- run --help', 'service:register', ['--', 'run', '--help']],
    ['help service', 'help', ['service']],
  ])('%j names the command %s', (line, id, argv) => {
    expect(read(line)).toEqual({kind: 'command', id, argv})
  })

  test.each([
    ['', [], false],
    ['--json', [], true],
    ['--help', [], false],
    ['-h', [], false],
    ['service', ['service'], false],
    ['service --json', ['service'], true],
    ['service list --help', ['service', 'list'], false],
    ['service list cam1 --help', ['service', 'list'], false],
    ['help service list --help', ['help', 'service', 'list'], false],
    ['service nonsense --help', ['service', 'nonsense'], false],
    ['service list --type x -h --json', ['service', 'list'], true],
    ['nonsense --help', ['nonsense'], false],
  ])('%j asks for help', (line, words, json) => {
    expect(read(line)).toEqual({kind: 'help', words, json})
  })

  test.each([
    ['servce list', ['servce', 'list']],
    ['service lst', ['service', 'lst']],
    ['--url x service list', ['--url']],
  ])('%j is not known', (line, words) => {
    expect(read(line)).toMatchObject({kind: 'unknown', words})
  })

  test('of another program keeps the order of its words, and its own dashes', () => {
    const argv = ['--port', '5000', '--', 'python3', '-m', 'http.server', '5000', '--', 'x']
    expect(behindDashes(argv)).toEqual(['python3', '-m', 'http.server', '5000', '--', 'x'])
    expect(ownPart(argv)).toEqual(['--port', '5000'])
    expect(behindDashes(['a'])).toEqual([])
    expect(ownPart(['a'])).toEqual(['a'])
  })

  test('flags behind -- belong to another program', () => {
    expect(wantsJson(['service', 'run', '--', 'ls', '--json'])).toBe(false)
    expect(wantsJson(['service', 'run', '--json', '--', 'ls'])).toBe(true)
  })
})

describe('a suggestion', () => {
  test.each([
    ['servce list', 'service list'],
    ['service lst', 'service list'],
    ['servic', 'service'],
    ['srve', 'serve'],
    ['stat', 'status'],
    ['list', 'backup list'],
    ['service regster --name x', 'service register'],
  ])('for %j is %s', (line, command) => {
    expect(suggestCommand(line.split(' '), names)).toBe(command)
  })

  test.each(['frobnicate', 'complet'])('there is none for %j, hidden commands included', (line) => {
    expect(suggestCommand(line.split(' '), names)).toBeUndefined()
  })
})

describe('a command that is a topic too', () => {
  test.each([
    ['backup', ['vrify', 'x'], 'backup verify'],
    ['backup', ['lst'], 'backup list'],
    ['backup', ['./vrify', 'x'], undefined],
    ['backup', ['srv', 'x'], undefined],
    ['backup', ['--skip', 'x'], undefined],
    ['backup', [], undefined],
    ['serve', ['lst'], undefined],
  ])('%s %j is near %s', (id, argv, meant) => {
    expect(misspeltSubcommand(id, argv, names)).toBe(meant)
  })
})
