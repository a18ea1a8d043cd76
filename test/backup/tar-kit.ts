import type {Manifest} from '../../src/backup/manifest.ts'
import {encodeManifest} from '../../src/backup/manifest-write.ts'

/** A header as the bytes say it, whatever they say. */
export interface RawHeader {
  readonly path: string
  readonly type?: string
  readonly size?: number | string
  readonly link?: string
  readonly prefix?: string
  readonly magic?: string
  readonly checksum?: string
}

/** Makes one header of a tar, byte for byte. */
export function rawHeader({path, type = '0', size = 0, link = '', prefix = '', magic, checksum}: RawHeader): Buffer {
  const block = Buffer.alloc(512)
  const put = (text: string, at: number, length: number) => Buffer.from(text).copy(block, at, 0, length)
  put(path, 0, 100)
  put('0000600\0', 100, 8)
  put('0000000\0', 108, 8)
  put('0000000\0', 116, 8)
  put(typeof size === 'string' ? size : `${size.toString(8).padStart(11, '0')}\0`, 124, 12)
  put('00000000000\0', 136, 12)
  put('        ', 148, 8)
  put(type, 156, 1)
  put(link, 157, 100)
  put(magic ?? 'ustar\u000000', 257, 8)
  put(prefix, 345, 155)
  const sum = block.reduce((total, byte) => total + byte, 0)
  put(checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `, 148, 8)
  return block
}

/** A member: its header, its content, and what fills the last block. */
export function member(header: RawHeader, content: Uint8Array | string = ''): Buffer {
  const bytes = Buffer.from(content)
  const padding = Buffer.alloc((512 - (bytes.length % 512)) % 512)
  return Buffer.concat([rawHeader({size: bytes.length, ...header}), bytes, padding])
}

/** An extended header with these records; a record is `name=value`. */
export function pax(...records: readonly string[]): Buffer {
  const text = records.map((record) => {
    const length = Buffer.byteLength(record) + 2
    const digits = String(length + String(length).length).length
    return `${length + digits} ${record}\n`
  })
  return member({path: 'PaxHeaders/x', type: 'x'}, text.join(''))
}

export const END = Buffer.alloc(1024)

/** A tar of these parts, with its end. */
export function tar(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...parts, END])
}

/** The first member of an archive of ours. */
export function manifestMember(manifest: Manifest): Buffer {
  return member({path: `${manifest.name}/backup.json`}, encodeManifest(manifest))
}
