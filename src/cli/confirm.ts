import {RegistryError} from '../base/errors.ts'
import {printable} from './printable.ts'

/** What is to be confirmed: `yes` by the word, `name` by typing the name of the thing. */
export interface Confirmation {
  /** What will happen, as a question without its mark: `remove the user bob`. */
  readonly what: string
  /** The name to type; a plain yes is enough without it. */
  readonly name?: string | undefined
  /** What follows from it, one line each. */
  readonly about?: readonly string[]
}

export interface ConfirmOptions {
  /** `--yes` was given. */
  readonly isGiven: boolean
  /** Somebody can be asked: a terminal at both ends, and no `--json`. */
  readonly isAskable: boolean
  readonly signal: AbortSignal
}

/**
 * Lets a person confirm what takes something away. Returns when he did.
 *
 * @throws RegistryError `REG_USAGE` when nobody can be asked, `REG_CANCELLED` when he did not
 */
export async function confirm({what, name, about = []}: Confirmation, options: ConfirmOptions): Promise<void> {
  if (options.isGiven) return
  if (!options.isAskable) {
    throw new RegistryError('REG_USAGE', `nobody can be asked whether to ${printable(what)}: nothing was done`, {
      hints: ['give --yes', 'give --dry-run to see what would be done'],
    })
  }
  for (const line of about) process.stderr.write(`${printable(line)}\n`)
  const wanted = name ?? 'yes'
  const question = name === undefined ? `${what}? Type yes:` : `${what}? Type its name:`
  const answer = await ask(printable(question), options.signal)
  if (answer.trim() === wanted || (name === undefined && answer.trim().toLowerCase() === 'y')) return
  throw new RegistryError('REG_CANCELLED', 'not confirmed: nothing was done')
}

async function ask(message: string, signal: AbortSignal): Promise<string> {
  const {default: input} = await import('@inquirer/input')
  return await orCancelled(() => input({message}, {output: process.stderr, signal}))
}

/** Runs a prompt; one that is left with Ctrl-C or Ctrl-D is a command that was cancelled. */
export async function orCancelled<T>(prompt: () => Promise<T>): Promise<T> {
  try {
    return await prompt()
  } catch (error) {
    throw cancelled(error)
  }
}

function cancelled(cause: unknown): RegistryError {
  return new RegistryError('REG_CANCELLED', 'cancelled: nothing was done', {cause})
}
