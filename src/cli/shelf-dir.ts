import {join, resolve} from 'node:path'
import {dataDirOf, readEnvironment} from '../config/environment.ts'

/** Gives the directory of backups that is meant: the given one, else the `backup:dir` of the data directory, else `backups` in it. */
export async function shelfDir(given: string | undefined): Promise<string> {
  return given === undefined ? await shelfOf(dataDirOf(undefined, readEnvironment())) : resolve(given)
}

/** Gives the directory that the service of a data directory keeps its live backups in. */
export async function shelfOf(dir: string): Promise<string> {
  const {inspectConf} = await import('../config/load.ts')
  const {settings} = await inspectConf({dir})
  const value = settings.findLast(({option}) => option === 'backup:dir')?.value
  return typeof value === 'string' ? resolve(dir, value) : join(dir, 'backups')
}
