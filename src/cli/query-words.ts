import {ERRORS, type ErrorCode, RegistryError} from '../base/errors.ts'
import {nearestName} from '../base/nearest.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {readArgument} from './query-values.ts'

/** What is called with what. */
export interface CallWords {
  readonly method: string
  readonly args: readonly Value[]
  readonly kwargs: Readonly<Record<string, Value>>
}

/** The service, and the words behind it. */
export interface QueryWords {
  /** Undefined when the command line names none. */
  readonly url: string | undefined
  readonly words: readonly string[]
}

const URL_FORM = /^[a-z][a-z0-9+]*:\/\//i
const KWARG_FORM = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s

/**
 * Tells the words of a query apart: a first one with `://` is the service. The last `behind` words stood behind `--` and are not flags, whatever they
 * look like; a lone `-` never is one.
 *
 * @throws RegistryError `REG_USAGE`
 */
export function splitWords(words: readonly string[], behind: number): QueryWords {
  const own = words.slice(0, words.length - behind)
  const flag = own.find((word) => word.startsWith('-') && word !== '-')
  if (flag !== undefined) {
    throw new RegistryError('REG_USAGE', `there is no flag ${flag}`, {
      hints: ['arguments that begin with a minus stand behind --', 'registry help query'],
    })
  }
  const [first] = own
  const url = first !== undefined && URL_FORM.test(first) ? first : undefined
  return {url, words: url === undefined ? words : words.slice(1)}
}

/** What a command line asks for. */
export type QueryMode =
  | {readonly kind: 'storm'}
  | {readonly kind: 'call'; readonly method: string}
  | {readonly kind: 'file'; readonly action: string}

interface ModeFlags {
  readonly call?: string | undefined
  readonly file?: string | undefined
  readonly [other: string]: unknown
}

/** Flags that are only for one of the modes. */
const FLAGS_OF: Readonly<Record<QueryMode['kind'], readonly string[]>> = {
  storm: ['query-file', 'opts', 'view', 'raw'],
  call: ['call', 'kwarg', 'raw'],
  file: ['file', 'output', 'force'],
}
const NAMES: Readonly<Record<QueryMode['kind'], string>> = {
  storm: 'Storm queries',
  call: 'calls',
  file: 'files',
}

/**
 * Tells what is asked for by the flags that are given.
 *
 * @throws RegistryError `REG_USAGE` when they do not go together
 */
export function modeOf(flags: ModeFlags): QueryMode {
  const {call, file}: ModeFlags = flags
  const mode: QueryMode =
    call !== undefined
      ? {kind: 'call', method: call}
      : file !== undefined
        ? {kind: 'file', action: file}
        : {kind: 'storm'}
  const given = Object.entries(flags).filter(([, value]) => isGiven(value))
  for (const [name] of given) {
    const kinds = (['storm', 'call', 'file'] as const).filter((kind) => FLAGS_OF[kind].includes(name))
    if (kinds.length === 0 || kinds.includes(mode.kind)) continue
    const what = kinds.map((kind) => NAMES[kind]).join(' and ')
    throw new RegistryError('REG_USAGE', `--${name} is for ${what}, not for ${NAMES[mode.kind]}`, {
      hints: ['registry help query'],
    })
  }
  return mode
}

function isGiven(flag: unknown): boolean {
  return Array.isArray(flag) ? flag.length > 0 : flag !== undefined && flag !== false
}

/** Reads what a method is called with. Throws as `readArgument`. */
export function readCall(method: string, words: readonly string[], kwargs: readonly string[]): CallWords {
  return {
    method,
    args: words.map((word, index) => readArgument(word, `argument ${index + 1}`)),
    kwargs: Object.fromEntries(kwargs.map(readKwarg)),
  }
}

/** Gives the error of a call with what to do next, where the hints of its code are about services. */
export function withMethodHints(error: unknown, method: string, methods: Iterable<string>): unknown {
  const isUnknown = error instanceof RegistryError && error.telepath === 'NoSuchMeth'
  return isUnknown ? withHints(error, nearMethods(method, methods)) : withPeerHints(error)
}

/** Does the same for what was asked without naming a method. */
export function withPeerHints(error: unknown): unknown {
  return error instanceof RegistryError ? withHints(error, BY_CODE[error.code]) : error
}

/** Puts hints in the place of those of the code; hints of its own stay. */
function withHints(error: RegistryError, hints: readonly string[] | undefined): RegistryError {
  const {code, message, info, telepath, cause} = error
  if (hints === undefined || error.hints !== ERRORS[code].hints) return error
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
