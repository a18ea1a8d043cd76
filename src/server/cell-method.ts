import type {Need} from '../auth/need.ts'
import {RegistryError} from '../base/errors.ts'
import {Secret} from '../base/secret.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Share} from '../wire/telepath/share.ts'
import type {Bound, CellCall} from './cell-call.ts'

/** A parameter; without `byDefault` it must be given. */
export interface Param {
  readonly name: string
  readonly byDefault?: Value
  /** Its value is in no log. */
  readonly isSecret?: true
}

interface CommonRow {
  /** What the caller must be; a function where that depends on what he asks. */
  readonly need: Need | ((call: CellCall) => Need)
  readonly params: readonly Param[]
  /** The call is logged with its arguments: it alters something. */
  readonly isLogged?: true
  /** The words of a refusal where the peer has others than for its other methods. */
  readonly refusal?: (call: CellCall, need: Need) => string
  /** It says where services are: a member that was kept from leading does not know. */
  readonly isLookup?: true
  /** A shutdown does not wait for it. */
  readonly isUnawaited?: true
  /** What to use instead, for a method that only older tools call. */
  readonly instead?: string
}

/** A method that answers with a value. */
export interface ValueRow extends CommonRow {
  readonly isGenerator?: false
  readonly isShare?: false
  /** It alters the state of the cell, and so is done by the leader: a mirror passes it on. */
  readonly isWrite?: true
  /** What a mirror does around `pass`, which has the leader do it. */
  readonly onMirror?: (call: CellCall, pass: () => Promise<Value>) => Promise<Value>
  readonly run: (call: CellCall) => Value | Promise<Value>
}

interface StreamRow extends CommonRow {
  readonly isGenerator: true
  readonly isShare?: false
  /** It is over at once: no task. */
  readonly isBrief?: true
  readonly run: (call: CellCall) => AsyncIterable<Value>
}

/** A method that answers with an object, which is called in turn. */
export interface ShareRow extends CommonRow {
  readonly isGenerator?: false
  readonly isShare: true
  readonly run: (call: CellCall) => OpenedShare | Promise<OpenedShare>
}

interface OpenedShare {
  readonly share: Share
  /** Called once, when the object is not used any more. */
  readonly closed: () => void
}

/** A method of the cell: its permission, its form and what it does, in one row. */
export type CellMethod = ValueRow | StreamRow | ShareRow

type Extras = Omit<CommonRow, 'need' | 'params'>

/** Makes the row of a method that answers with a value. */
export function method(
  need: CommonRow['need'],
  params: readonly Param[],
  run: ValueRow['run'],
  extras: Extras & Pick<ValueRow, 'isWrite' | 'onMirror'> = {},
): CellMethod {
  return {need, params, run, ...extras}
}

/** Makes the row of a method that answers with a stream. */
export function generator(
  need: CommonRow['need'],
  params: readonly Param[],
  run: StreamRow['run'],
  extras: Extras & Pick<StreamRow, 'isBrief'> = {},
): CellMethod {
  return {need, params, run, isGenerator: true, ...extras}
}

/** Makes the row of a method that answers with an object. */
export function opener(
  need: CommonRow['need'],
  params: readonly Param[],
  run: ShareRow['run'],
  extras: Extras = {},
): CellMethod {
  return {need, params, run, isShare: true, ...extras}
}

/** Names a parameter that must be given. */
export function required(name: string): Param {
  return {name}
}

/** Names a parameter that has a default, nil unless given. */
export function optional(name: string, byDefault: Value = null): Param {
  return {name, byDefault}
}

/**
 * Gives arguments the names of their parameters, as Python does: positional ones first, then named ones, then defaults. `title` is the
 * method as the error texts name it, `CellApi.addUser`.
 *
 * @throws RegistryError `REG_BAD_REQUEST`, in Telepath `TypeError`, with Python's words
 */
export function bind(
  title: string,
  params: readonly Param[],
  args: readonly Value[],
  kwargs: Readonly<Record<string, Value>>,
): Bound {
  const bound: Record<string, Value> = {}
  for (const [index, param] of params.entries()) {
    if (index < args.length) bound[param.name] = args[index]
  }
  for (const name of Object.keys(kwargs)) {
    const index = params.findIndex((param) => param.name === name)
    if (index === -1) throw typeError(`${title}() got an unexpected keyword argument '${name.slice(0, 100)}'`)
    if (index < args.length) throw typeError(`${title}() got multiple values for argument '${name}'`)
    bound[name] = kwargs[name]
  }
  if (args.length > params.length) throw typeError(tooMany(title, params, args.length))
  const missing = params.filter((param) => !(param.name in bound) && !('byDefault' in param))
  if (missing.length > 0) throw typeError(tooFew(title, missing))
  for (const param of params) {
    if (!(param.name in bound)) bound[param.name] = param.byDefault
  }
  return bound
}

/** Gives arguments as the log may show them. */
export function loggable(params: readonly Param[], bound: Bound): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    params.flatMap(({name, isSecret}) => {
      const value = bound[name]
      if (value === null || value === undefined) return []
      return [[name, isSecret ? new Secret('') : value]]
    }),
  )
}

/** Python counts the object itself as the first argument. */
function tooMany(title: string, params: readonly Param[], given: number): string {
  const most = params.length + 1
  const least = params.filter((param) => !('byDefault' in param)).length + 1
  const takes = least === most ? `${most}` : `from ${least} to ${most}`
  const noun = most === 1 ? 'argument' : 'arguments'
  return `${title}() takes ${takes} positional ${noun} but ${given + 1} were given`
}

function tooFew(title: string, missing: readonly Param[]): string {
  const names = missing.map(({name}) => `'${name}'`)
  const last = names.pop()
  const list = names.length === 0 ? last : `${names.join(', ')}${names.length > 1 ? ',' : ''} and ${last}`
  const noun = missing.length === 1 ? 'argument' : 'arguments'
  return `${title}() missing ${missing.length} required positional ${noun}: ${list}`
}

function typeError(text: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', text, {telepath: 'TypeError'})
}
