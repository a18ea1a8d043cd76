import {ERRORS, type ErrorCode, RegistryError} from '../base/errors.ts'
import {nearestName} from '../base/nearest.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {readArgument} from './query-values.ts'

/** What is called with what. */
export interface QueryWords {
  /** Undefined when the command line names none. */
  readonly url: string | undefined
  readonly args: readonly Value[]
  readonly kwargs: Readonly<Record<string, Value>>
}

const URL_FORM = /^[a-z][a-z0-9+]*:\/\//i
const KWARG_FORM = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s

/**
 * Tells the words of a query apart: a first one with `://` is the service, all others are arguments. The last `behind` words stood behind `--`
 * and are arguments whatever they look like.
 *
 * @throws RegistryError `REG_USAGE`
 */
export function readQuery(words: readonly string[], behind: number, kwargs: readonly string[]): QueryWords {
  const own = words.slice(0, words.length - behind)
  const flag = own.find((word) => word.startsWith('-'))
  if (flag !== undefined) {
    throw new RegistryError('REG_USAGE', `there is no flag ${flag}`, {
      hints: ['arguments that begin with a minus stand behind --', 'registry help query'],
    })
  }
  const [first] = own
  const url = first !== undefined && URL_FORM.test(first) ? first : undefined
  const given = url === undefined ? words : words.slice(1)
  return {
    url,
    args: given.map((word, index) => readArgument(word, `argument ${index + 1}`)),
    kwargs: Object.fromEntries(kwargs.map(readKwarg)),
  }
}

/** Gives the error of a call with what to do next, where the hints of its code are about services. */
export function withMethodHints(error: unknown, method: string, methods: Iterable<string>): unknown {
  if (!(error instanceof RegistryError) || error.hints !== ERRORS[error.code].hints) return error
  const hints = error.telepath === 'NoSuchMeth' ? nearMethods(method, methods) : BY_CODE[error.code]
  if (hints === undefined) return error
  const {code, message, info, telepath, cause} = error
  return new RegistryError(code, message, {hints, info, telepath, cause})
}

const BY_CODE: {readonly [code in ErrorCode]?: readonly string[]} = {
  REG_NOT_FOUND: [],
  REG_CONFLICT: [],
  REG_BAD_REQUEST: ['registry help query'],
  REG_DENIED: ['ask an administrator of that service'],
}

function nearMethods(method: string, methods: Iterable<string>): readonly string[] {
  const nearest = nearestName(method, methods)
  return [...(nearest === undefined ? [] : [`registry query --call ${nearest}`]), 'registry status URL']
}

function readKwarg(text: string): readonly [string, Value] {
  const [, name, yaml] = KWARG_FORM.exec(text) ?? []
  if (name !== undefined && yaml !== undefined) return [name, readArgument(yaml, `argument ${name}`)]
  throw new RegistryError('REG_USAGE', '--kwarg takes NAME=VALUE', {
    hints: ["registry query --call METHOD --kwarg 'name=[1, 2]'"],
  })
}
