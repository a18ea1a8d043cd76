import {encode} from '../msgpack/encode.ts'
import type {Value} from '../msgpack/value.ts'
import {PROTOCOL_VERSION} from './messages.ts'
import type {Opened, ShareInfo} from './share.ts'

/** Writes the messages that describe a share. A description is written once and kept, it may name some hundred methods. */
export class ShareText {
  readonly #version: readonly number[]
  readonly #texts = new WeakMap<ShareInfo, Buffer>()

  constructor(synapseVersion: readonly number[]) {
    this.#version = synapseVersion
  }

  /** The good answer to `tele:syn`. */
  openedMessage(id: string, {share, features, ahaInfo}: Opened): Buffer {
    return message('tele:syn', [
      ['vers', encode(PROTOCOL_VERSION)],
      ['retn', encode([true, null])],
      ...(ahaInfo === undefined ? [] : [['ahainfo', encode({name: ahaInfo.name})] as const]),
      ...(features === undefined ? [] : [['features', encode(features)] as const]),
      ['sharinfo', this.#text(share.info)],
      ['sess', encode(id)],
    ])
  }

  /** The answer to a call that made a dynamic share. */
  shareMessage(iden: string, info: ShareInfo): Buffer {
    return message('t2:share', [
      ['iden', encode(iden)],
      ['sharinfo', this.#text(info)],
    ])
  }

  #text(info: ShareInfo): Buffer {
    const known = this.#texts.get(info)
    if (known !== undefined) return known
    const methods: Record<string, Value> = {}
    for (const [name, {isGenerator}] of info.methods) methods[name] = isGenerator ? {genr: true} : {}
    const text = encode({
      meths: methods,
      'syn:commit': '',
      'syn:version': this.#version,
      classes: info.classes,
    })
    const copy = Buffer.from(text)
    this.#texts.set(info, copy)
    return copy
  }
}

/** An array of two, the second a map of values that are encoded already; of at most 15. */
function message(type: string, body: readonly (readonly [key: string, value: Buffer])[]): Buffer {
  const parts = body.flatMap(([key, value]) => [encode(key), value])
  return Buffer.concat([Buffer.of(0x92), encode(type), Buffer.of(0x80 | body.length), ...parts])
}
