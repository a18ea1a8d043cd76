/** What the ways have in common in which a restored directory takes the place of another one. */
import {rename} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {isTaken, syncDir} from '../base/files.ts'

/** Does one thing that cannot be done in part, or nothing when it was done already. */
export type Step = () => Promise<void>

/** What is to be done when the restored directory is whole. */
export interface Swap {
  /** Where what was there before is then; null when there was nothing. */
  readonly kept: string | null
  /** As it stands in the note, by which whoever comes next goes on. */
  readonly note: Readonly<Record<string, unknown>>
  readonly steps: readonly Step[]
  /** From after any of the steps back to what was. */
  readonly backSteps: readonly Step[]
}

export interface Way {
  readonly dir: string
  /** All of the restore lies in it. */
  readonly container: string
  /** The restored directory. */
  readonly data: string
  readonly note: string
  /** Held by the one who restores. */
  readonly lock: string
  /** Whether a killed restore left the directory so that nobody can use it before its end. */
  isLeft(): Promise<boolean>
  /** `shelf`: the directory of backups in it, relative, which stays. */
  plan(shelf: string, nowMs: number): Promise<Swap>
  /** @throws TypeError when it is no such note */
  read(note: Readonly<Record<string, unknown>>): Swap
  /** What to type when all goes wrong, to have what was there before. */
  byHand(swap: Swap): readonly string[]
}

/** Tells whether a text can be a name in a directory. */
export function isName(text: unknown): text is string {
  return typeof text === 'string' && text !== '' && text !== '.' && text !== '..' && !text.includes('/')
}

/** Gives the name with the time, or one after it when that is taken. */
export async function freeName(parent: string, beginning: string, nowMs: number): Promise<string> {
  const stamp = new Date(nowMs).toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '')
  for (let turn = 1; ; turn++) {
    const wanted = turn === 1 ? `${beginning}${stamp}` : `${beginning}${stamp}-${turn}`
    if (!(await isTaken(join(parent, wanted)))) return wanted
  }
}

/** Gives a file or directory another place, for good. */
export async function move(from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncDir(dirname(from))
  if (dirname(to) !== dirname(from)) await syncDir(dirname(to))
}
