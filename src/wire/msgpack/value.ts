/**
 * What can stand in a Telepath message, and how it looks here:
 *
 *     nil                   null; `undefined` is written as nil too
 *     integer               number when it is safe (|n| <= 2^53 - 1), else bigint; both are written in their smallest form, beyond 64 bits as ext 0 or 1
 *     float                 number, when it has a fraction or no integer form (NaN, infinities, -0); an integral float is read as a number and
 *                           loses its type, unless the decoder is asked for exactness: then it is a `Float`
 *     str                   string; lone surrogates survive (two that make a pair become one character; with exactness: a `RawText`)
 *     bin                   Uint8Array (a Buffer when read)
 *     array                 array
 *     map                   plain object without prototype surprises when all keys are strings, else a Map; with exactness a Map, too, when
 *                           an object would not keep the order
 *     ext -1                Timestamp
 */
export type Value =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float
  | Timestamp
  | RawText
  | readonly Value[]
  | ReadonlyMap<Value, Value>
  | {readonly [key: string]: Value}

/** A number that is a float on the wire even though it is integral. */
export class Float {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

/** Extension -1: seconds since 1970 and nanoseconds. Synapse never makes one, but reads it. */
export class Timestamp {
  readonly seconds: bigint
  readonly nanoseconds: number

  constructor(seconds: bigint, nanoseconds: number) {
    this.seconds = seconds
    this.nanoseconds = nanoseconds
  }
}

/** A str that no string here gives back: Python's strings may hold both halves of a surrogate pair as characters of their own. */
export class RawText {
  /** UTF-8, each surrogate in three bytes. */
  readonly utf8: Uint8Array

  constructor(utf8: Uint8Array) {
    this.utf8 = utf8
  }
}

/** Levels of arrays and maps that Synapse takes: a value in that many is read and written, in one more it is refused. */
export const MAX_DEPTH = 1024
