import type {Interfaces} from '@oclif/core'
import {expect, test} from 'vitest'
import BackupDrill from '../../src/commands/backup/drill.ts'
import BackupFollow from '../../src/commands/backup/follow.ts'
import BackupList from '../../src/commands/backup/list.ts'
import BackupPrune from '../../src/commands/backup/prune.ts'
import BackupShow from '../../src/commands/backup/show.ts'
import BackupVerify from '../../src/commands/backup/verify.ts'
import Backup from '../../src/commands/backup.ts'
import Livebackup from '../../src/commands/livebackup.ts'
import Restore from '../../src/commands/restore.ts'
import Serve from '../../src/commands/serve.ts'

const {stream, archive, name} = Livebackup.flags
const {scratch, python} = BackupDrill.flags
const commands = [Backup, BackupDrill, BackupFollow, BackupList, BackupPrune, BackupShow, BackupVerify, Restore, Serve]
const PLACES = [
  ...commands.flatMap((command) =>
    Object.entries(command.args).map(([arg, what]) => [command.name, arg, what] as const),
  ),
  ...Object.entries({stream, archive, name}).map(([flag, what]) => [Livebackup.name, `--${flag}`, what] as const),
  ...Object.entries({scratch, python}).map(([flag, what]) => [BackupDrill.name, `--${flag}`, what] as const),
]

// `registry backup prune "$shelf" --yes` in a script would remove what lies where it is run.
test.each(PLACES)('an empty word is no place: %s %s', async (_command, _word, what) => {
  const parse = what.parse as unknown as (input: string, context: unknown, more: unknown) => Promise<unknown>
  const more: Partial<Interfaces.Arg<string>> = {}
  await expect(parse('', undefined, more)).rejects.toMatchObject({code: 'REG_USAGE'})
  expect(await parse('./a b', undefined, more)).toBe('./a b')
})
