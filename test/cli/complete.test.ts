import {describe, expect, test} from 'vitest'
import {type CompletedCommand, complete} from '../../src/cli/complete.ts'

const url = {name: 'url', type: 'option'}
const commands: readonly CompletedCommand[] = [
  {
    id: 'backup',
    summary: 'Copy.',
    args: {src: {name: 'src'}},
    flags: {},
  },
  {id: 'backup:list', summary: 'List copies.', args: {}, flags: {}},
  {id: 'backup:verify', summary: 'Verify one.', args: {backup: {name: 'backup'}}, flags: {}},
  {id: 'complete', hidden: true, args: {}, flags: {}},
  {id: 'help', summary: 'Help.', args: {command: {name: 'command'}}, flags: {}},
  {
    id: 'serve',
    summary: 'Run.',
    args: {dir: {name: 'dir'}},
    flags: {
      backend: {name: 'backend', type: 'option', options: ['sqlite', 'memory']},
      plain: {name: 'plain', type: 'boolean', allowNo: true, summary: 'Allow it.'},
      secret: {name: 'secret', type: 'boolean', hidden: true},
    },
  },
  {
    id: 'service:list',
    summary: 'List.',
    args: {},
    flags: {
      url,
      type: {name: 'type', char: 't', type: 'option'},
      tag: {name: 'tag', type: 'option', multiple: true},
      health: {name: 'health', type: 'option', options: ['passing', 'critical']},
      json: {name: 'json', type: 'boolean'},
    },
  },
  {id: 'service:show', summary: 'Show.', args: {id: {name: 'id'}}, flags: {url}},
  {
    id: 'user:grant',
    summary: 'Grant.',
    args: {user: {name: 'user'}, role: {name: 'role'}},
    flags: {url, role: {name: 'role', type: 'option', multiple: true}},
  },
  {
    id: 'clone',
    summary: 'Clone.',
    args: {host: {name: 'host'}},
    flags: {url, forget: {name: 'forget', type: 'boolean'}},
  },
  {id: 'pool:show', summary: 'Show.', args: {pool: {name: 'pool'}}, flags: {url}},
  {id: 'trim', summary: 'Trim.', args: {url}, flags: {url, consumer: {name: 'consumer', type: 'option'}}},
]

/** Completes a line whose last word is being typed. */
function at(line: string) {
  const words = line.split(' ')
  const {candidates, live} = complete(words.slice(0, -1), words.at(-1) ?? '', commands)
  return {values: candidates.map(({value}) => value), live}
}

describe('completion', () => {
  test.each([
    ['', ['backup', 'help', 'serve', 'service', 'user', 'clone', 'pool', 'trim']],
    ['ser', ['serve', 'service']],
    ['service ', ['list', 'show']],
    ['service l', ['list']],
    ['help ser', ['serve', 'service']],
    ['help service ', ['list', 'show']],
    ['x', []],
    ['nonsense ', []],
    ['-', []],
    ['serve -', ['--backend', '--plain', '--no-plain']],
    ['serve --p', ['--plain']],
    ['serve --plain --', ['--backend']],
    ['serve --backend ', ['sqlite', 'memory']],
    ['serve --backend=m', ['--backend=memory']],
    ['serve --plain=x', []],
    ['service list --type x --ta', ['--tag']],
    ['service list --tag x --ta', ['--tag']],
    ['service list -t x --ty', []],
    ['service run -- service ', []],
    ['backup l', ['list']],
    ['backup ', ['list', 'verify']],
    ['backup x ', []],
  ])('of %j offers %j', (line, values) => {
    expect(at(line).values).toEqual(values)
  })

  test.each([
    ['service list --type ', 'type'],
    ['service list -t ', 'type'],
    ['service list --type=ca', 'type'],
    ['service list --tag a --tag ', 'tag'],
    ['service show ', 'id'],
    ['service show --url zmq://x:1 ', 'id'],
    ['service show a ', undefined],
    ['service list ', undefined],
    ['service list --health ', undefined],
    ['serve ', undefined],
  ])('of %j asks the registry for %s', (line, live) => {
    expect(at(line).live).toBe(live)
  })

  test('says what the commands do', () => {
    expect(complete(['service'], 's', commands).candidates).toEqual([{value: 'show', about: 'Show.'}])
  })
})

test('a backup is one of the data directory', () => {
  expect(at('backup verify ')).toEqual({values: [], live: 'backup'})
  expect(at('backup verify x ').live).toBeUndefined()
})

test('a member is to be forgotten by a name that the cell knows, and made under a new one', () => {
  expect(at('clone --forget ')).toMatchObject({live: 'member'})
  expect(at('clone ')).toMatchObject({live: undefined})
})

test('users, roles and pools are those of the cell', () => {
  expect(at('pool show ')).toMatchObject({live: 'pool'})
  expect(at('user grant ')).toMatchObject({live: 'user'})
  expect(at('user grant visi ')).toMatchObject({live: 'role'})
  expect(at('user grant --role ')).toMatchObject({live: 'role'})
})

test('a URL that begins with aha: is completed with the services of AHA, as a flag too', () => {
  for (const line of [
    'pool show --url aha://',
    'pool show --url=aha:',
    'service list --url aha://00',
    'trim --consumer aha://0',
  ])
    expect(at(line)).toMatchObject({live: 'aha'})
  for (const line of ['pool show --url ssl://', 'pool show aha:', 'backup aha:']) expect(at(line).live).not.toBe('aha')
})
