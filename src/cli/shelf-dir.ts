import {join, resolve} from 'node:path'
import {dataDirOf, readEnvironment} from '../config/environment.ts'

/** Gives the directory of backups that is meant: the given one, else the `backup:dir` of the data directory, else `backups` in it. */
export async function shelfDir(given: string | undefined): Promise<string> {
  if (given !== undefined) return resolve(given)
  const {inspectConf} = await import('../config/load.ts')
  const dir = dataDirOf(undefined, readEnvironment())
  const {settings} = await inspectConf({dir})
  const value = settings.findLast(({option}) => option === 'backup:dir')?.value
  return typeof value === 'string' ? resolve(dir, value) : join(dir, 'backups')
}
