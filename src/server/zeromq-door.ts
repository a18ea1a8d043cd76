import {authorize} from '../auth/door.ts'
import type {Directory} from '../auth/model.ts'
import type {Need} from '../auth/need.ts'
import {messageOf} from '../base/errors.ts'
import type {ZeromqMethod} from './methods.ts'

/** The plain ports know no users. */
const NOBODY: Directory = {user: () => undefined, role: () => undefined, gate: () => undefined}

/**
 * The door for the plain ZeroMQ ports. Their callers are all alike, so what each action answers them is decided once: by itself, or with the
 * reason why it may not be called, ever after.
 */
export class ZeromqDoor {
  readonly #methods: Readonly<Record<ZeromqMethod, Need>>

  constructor(methods: Readonly<Record<ZeromqMethod, Need>>) {
    this.#methods = methods
  }

  /** Why nobody may call this there; undefined when anybody may. */
  refusal(method: ZeromqMethod): string | undefined {
    try {
      authorize(NOBODY, {kind: 'zmq:anon'}, this.#methods[method])
      return undefined
    } catch (error) {
      return messageOf(error)
    }
  }
}
