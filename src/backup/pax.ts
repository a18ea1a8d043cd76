import {isUtf8} from 'node:buffer'
import {refused} from './archive-refusal.ts'

/** What an extended header says of the member behind it, where that matters here. */
export interface PaxFields {
  readonly path?: string
  readonly size?: number
}

/** Fields that alter what a member is, or how it is to be read. Owners, times and the like are left aside. */
const REFUSED = /^(linkpath$|hdrcharset$|GNU\.|SCHILY\.(realsize|filetype|xattr)|SUN\.|RHT\.)/

/**
 * Reads an extended header: records `LENGTH NAME=VALUE\n`, whose values may hold anything. One that is not exactly so is refused.
 *
 * @throws RegistryError `REG_BACKUP_INVALID`
 */
export function parsePax(bytes: Uint8Array): PaxFields {
  if (!isUtf8(bytes)) throw refused('an extended header is not UTF-8')
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const fields: {path?: string; size?: number} = {}
  const seen = new Set<string>()
  for (let at = 0; at < buffer.length; ) {
    const {name, value, length} = recordAt(buffer, at)
    at += length
    if (REFUSED.test(name)) throw refused(`an extended header says ${name}`)
    if (seen.has(name)) throw refused(`an extended header says ${name} twice`)
    seen.add(name)
    if (name === 'path') fields.path = value
    if (name === 'size') fields.size = sizeOf(value)
  }
  return fields
}

function recordAt(buffer: Buffer, at: number): {name: string; value: string; length: number} {
  const [text] = /^[1-9]\d{0,5} /.exec(buffer.toString('latin1', at, at + 7)) ?? []
  if (text === undefined) throw refused('an extended header cannot be read')
  const length = Number(text)
  const end = at + length
  const record = buffer.toString('utf8', at + text.length, end - 1)
  const equals = record.indexOf('=')
  if (end > buffer.length || buffer[end - 1] !== 0x0a || equals < 1) {
    throw refused('an extended header cannot be read')
  }
  return {name: record.slice(0, equals), value: record.slice(equals + 1), length}
}

function sizeOf(value: string): number {
  const size = Number(value)
  if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(size)) throw refused('an extended header says no size')
  return size
}
