import {expect, test} from 'vitest'
import {shellWord} from '../../src/base/shell-word.ts'

test.each([
  ['/srv/backups/20261121', '/srv/backups/20261121'],
  ['cell:///srv/axon', 'cell:///srv/axon'],
  ['/srv/ünï', '/srv/ünï'],
  ['/srv/my backups', "'/srv/my backups'"],
  ["/srv/it's", "'/srv/it'\\''s'"],
  ['/srv/$HOME;x', "'/srv/$HOME;x'"],
])('a path in a command to type is one word: %s', (path, word) => {
  expect(shellWord(path)).toBe(word)
})
