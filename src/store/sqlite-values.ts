import {damagedFile} from './sqlite-errors.ts'

/** One answer ends after this much text, so that a chunk of large services does not fill the memory. */
export const CHUNK_CHARS = 4 * 1024 * 1024

/** Gives a value of the file that must be a number. */
export function integer(value: unknown, path: string): number {
  if (typeof value !== 'number') throw damagedFile(path, `${value} stands where a number should`)
  return value
}

/** Gives a value of the file that must be a text. */
export function text(value: unknown, path: string): string {
  if (typeof value !== 'string') throw damagedFile(path, `${value} stands where a text should`)
  return value
}
