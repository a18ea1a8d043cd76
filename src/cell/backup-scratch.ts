import {mkdtemp, readdir, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {makePrivateDir} from '../base/files.ts'

const SCRATCH = 'backup-'

interface Scratch extends AsyncDisposable {
  readonly dir: string
}

/** Removes what backups that were killed left in the `tmp` of a cell. Whoever calls it holds the cell. Throws what the system says. */
export async function removeLeftScratch(cell: string): Promise<void> {
  const names = await readdir(join(cell, 'tmp')).catch(() => [])
  const left = names.filter((name) => name.startsWith(SCRATCH))
  for (const name of left) await rm(join(cell, 'tmp', name), {recursive: true, force: true})
}

/** Makes room in the `tmp` of a cell, for as long as it is held. Throws what the system says. */
export async function scratchIn(cell: string): Promise<Scratch> {
  await makePrivateDir(join(cell, 'tmp'))
  await removeLeftScratch(cell)
  const dir = await mkdtemp(join(cell, 'tmp', SCRATCH))
  return {dir, [Symbol.asyncDispose]: () => rm(dir, {recursive: true, force: true})}
}
