import {expect, test} from 'vitest'
import {restoreReport, restoreText} from '../../src/cli/restore-text.ts'

const OTHER = 'ef'.repeat(16)
const CELL = {kind: 'registry', iden: 'cd'.repeat(16), type: 'registry', version: null} as const
const PLAN = {
  dir: '/srv/lab',
  cell: CELL,
  target: {was: 'cell', checked: 'no lock'},
  isWithin: false,
  warnings: [],
} as const
const BACKUP = {path: '/b/1', name: '1', madeAt: null}

const DONE = {kept: '/srv/lab.before', movedBackup: null, owner: null}

// `--yes` answers the question that would have named it, and a dry run asks none.
test.each([
  ['dry run', undefined],
  ['restore', DONE],
])('a %s says that another cell is replaced', (_, done) => {
  const of = (otherCell: string | null) =>
    restoreText(restoreReport(BACKUP, {...PLAN, otherCell}, {history: undefined, files: 3}, done))
  expect(of(OTHER)).toContain(`warning: what is replaced is another cell: ${OTHER}, and the backup is of ${CELL.iden}`)
  expect(of(null)).not.toContain('warning')
})

test('of a Synapse service it is said which Synapse starts on it', () => {
  const next = (version: string | null) => {
    const plan = {...PLAN, otherCell: null, cell: {kind: 'synapse', iden: CELL.iden, type: 'axon', version} as const}
    return restoreText(restoreReport(BACKUP, plan, {history: undefined, files: 3}, DONE))
  }
  expect(next('2.256.0')).toContain('axon /srv/lab, of Synapse 2.256.0 or newer, as it was started before')
  expect(next(null)).toContain('axon /srv/lab, as it was started before')
})
