import {join} from 'node:path'
import {isTaken} from '../base/files.ts'

/**
 * Gives the name of a new backup in a directory, as the peers give it: local time, to the second, `20220422094622`; with the second taken, `-2` and so
 * on behind it. `ending` is that of a file.
 */
export async function freeName(dir: string, nowMs: number, ending = ''): Promise<string> {
  const name = timeName(nowMs)
  for (let count = 1; ; count++) {
    const one = count === 1 ? name : `${name}-${count}`
    if (!(await isTaken(join(dir, one + ending)))) return one
  }
}

function timeName(nowMs: number): string {
  const at = new Date(nowMs)
  const parts = [at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()]
  return [at.getFullYear(), ...parts.map((part) => String(part).padStart(2, '0'))].join('')
}
