// How fast messages of real services are read and written, beside the common library, which does not know all that they hold.
import {readFileSync} from 'node:fs'
import {ExtensionCodec, Decoder as PlainDecoder, Encoder as PlainEncoder} from '@msgpack/msgpack'
import {Decoder} from '../src/wire/msgpack/decode.ts'
import {Encoder} from '../src/wire/msgpack/encode.ts'
import type {Value} from '../src/wire/msgpack/value.ts'
import {type Line, line, median, rounds} from './report.ts'

const MUST_REACH = {atLeast: 0.8}
/** Absolute figures are medians of so many. */
const ROUNDS = 7
const ROUND_MS = 150

/** Gives how often a task runs in a second of CPU time: what else the machine does matters little then. */
function rate(task: () => void): number {
  const before = process.cpuUsage()
  const end = performance.now() + ROUND_MS
  let count = 0
  while (performance.now() < end) {
    task()
    count += 1
  }
  const {user, system} = process.cpuUsage(before)
  return (count * 1e6) / (user + system)
}

/** Measures two ways by turns and gives how much faster the first is, round by round. */
function compare(ours: () => void, theirs: () => void): {ratios: number[]; ours: number[]} {
  for (const task of [ours, theirs]) rate(task)
  const result = {ratios: [] as number[], ours: [] as number[]}
  for (let round = 0; round < ROUNDS; round++) {
    const rates = round % 2 === 0 ? [rate(ours), rate(theirs)] : [rate(theirs), rate(ours)].reverse()
    const [first, second] = rates as [number, number]
    result.ours.push(first)
    result.ratios.push(first / second)
  }
  return result
}

/** The frames of the recorded traffic that both can read: sound ones without large integers and the like. */
function recordedFrames(): Buffer[] {
  const theirs = theirDecoder()
  return readFileSync(new URL('../test/vectors/telepath.jsonl', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((row) => JSON.parse(row) as {case: string; hex: string})
    .filter((row) => !/^(garbage|oversize)-/.test(row.case))
    .map((row) => Buffer.from(row.hex, 'hex'))
    .filter((bytes) => bytes.length > 0 && isReadableBy(theirs, bytes))
}

function isReadableBy(decoder: PlainDecoder, bytes: Buffer): boolean {
  try {
    decoder.decode(bytes)
    return true
  } catch {
    return false
  }
}

function theirDecoder(): PlainDecoder {
  return new PlainDecoder({extensionCodec: new ExtensionCodec()})
}

export async function* measureCodec(): AsyncGenerator<Line> {
  const frames = recordedFrames()
  const small = frames.filter(({length}) => length < 300)
  for (const [name, some] of [
    ['all', frames],
    ['below 300 bytes', small],
  ] as const) {
    yield decoding(name, some)
    yield encoding(name, some)
  }
}

function decoding(name: string, frames: readonly Buffer[]): Line {
  const ours = new Decoder({maxBytes: 2 ** 26})
  const theirs = theirDecoder()
  const {ratios, ours: rates} = compare(
    () => {
      for (const frame of frames) {
        ours.push(frame)
        ours.next()
      }
    },
    () => {
      for (const frame of frames) theirs.decode(frame)
    },
  )
  return line(`codec, reading, ${name}`, median(ratios), 'x', MUST_REACH, noteOf(frames, rates, ratios))
}

function encoding(name: string, frames: readonly Buffer[]): Line {
  const ours = new Encoder()
  const theirs = new PlainEncoder()
  const decoder = new Decoder({maxBytes: 2 ** 26})
  const values = frames.map((frame) => {
    decoder.push(frame)
    return decoder.next()?.value as Value
  })
  const writable = values.filter((value) => isWritableBy(theirs, value))
  const {ratios, ours: rates} = compare(
    () => {
      for (const value of writable) ours.encode(value)
    },
    () => {
      for (const value of writable) theirs.encode(value)
    },
  )
  return line(`codec, writing, ${name}`, median(ratios), 'x', MUST_REACH, noteOf(frames, rates, ratios))
}

function isWritableBy(encoder: PlainEncoder, value: Value): boolean {
  try {
    encoder.encode(value)
    return true
  } catch {
    return false
  }
}

function noteOf(frames: readonly Buffer[], rates: readonly number[], ratios: readonly number[]): string {
  const bytes = frames.reduce((sum, {length}) => sum + length, 0)
  const perFrameUs = 1e6 / (median(rates) * frames.length)
  return `${perFrameUs.toFixed(2)} us a message of ${Math.round(bytes / frames.length)} bytes; ${rounds(ratios)}`
}
