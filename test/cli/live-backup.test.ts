import {expect, test} from 'vitest'
import {type LiveBackupReport, liveBackupText} from '../../src/cli/live-backup.ts'

const REPORT: LiveBackupReport = {
  ...{url: 'cell:///srv/axon', name: 'a', where: 'archive', path: '/srv/my backups/a.tar.zst'},
  ...{bytes: 1, files: 2, index: 3, encrypted: false, seconds: 1},
}

test('the command that proves it can be typed as it is: in quotes, and with the identity that it needs', () => {
  const drill = "registry backup drill '/srv/my backups/a.tar.zst'"
  expect(liveBackupText(REPORT).split('\n')[1]).toBe(`prove that it can be restored: ${drill}`)
  expect(liveBackupText({...REPORT, encrypted: true})).toContain(`${drill} --identity FILE`)
})

test('a name cannot steer the terminal', () => {
  const text = liveBackupText({...REPORT, path: '/srv/a\nb\u202e'})
  expect(text).toContain('created: /srv/a\\nb\\u202e (')
  expect(text.split('\n')).toHaveLength(2)
})
