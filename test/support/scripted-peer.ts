// A server of the request port that answers as a test says: for servers of other ages, and for what no server should do.
import {Router} from 'zeromq'

/** One request: the frames behind the routing id, and the object in the last of them. */
export interface PeerRequest {
  readonly frames: readonly Buffer[]
  readonly body: Readonly<Record<string, unknown>>
  /** How the request was framed: by the envelope, or as a REQ socket does. */
  readonly isPlain: boolean
  answer(frames: readonly string[]): void
}

export type Script = (request: PeerRequest) => void

export class ScriptedPeer implements Disposable {
  readonly #socket = new Router({linger: 0, sendTimeout: 0})
  readonly requests: PeerRequest[] = []
  #script: Script
  #waiting: (() => void)[] = []

  static async start(script: Script): Promise<ScriptedPeer> {
    const peer = new ScriptedPeer(script)
    await peer.#socket.bind('tcp://127.0.0.1:*')
    peer.#serve().catch(() => undefined) // the socket was closed
    return peer
  }

  private constructor(script: Script) {
    this.#script = script
  }

  get url(): string {
    return (this.#socket.lastEndpoint ?? '').replace('tcp:', 'zmq:')
  }

  /** Answers otherwise from now on. */
  become(script: Script): void {
    this.#script = script
  }

  /** The actions asked for so far, in order. */
  get actions(): unknown[] {
    return this.requests.map(({body}) => body['action'])
  }

  /** Resolves when so many requests have come. */
  async received(count: number): Promise<void> {
    while (this.requests.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async #serve(): Promise<void> {
    for await (const [id, ...frames] of this.#socket) {
      if (id === undefined) continue
      const request: PeerRequest = {
        frames,
        body: JSON.parse(String(frames.at(-1))),
        isPlain: frames[0]?.length === 0,
        answer: (answer) => void this.#socket.send([id, ...answer]).catch(() => undefined), // its peer is gone
      }
      this.requests.push(request)
      this.#script(request)
      for (const wake of this.#waiting.splice(0)) wake()
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close()
  }
}

/** Knows only the envelope, as CGSE from 0.15 on, and says `word` in its answers. */
export function enveloped(answer: (body: PeerRequest['body']) => unknown, word = 'RESPONSE'): Script {
  return ({isPlain, body, answer: send}) => {
    if (!isPlain) send([word, JSON.stringify(answer(body))])
  }
}

/** Knows only REQ sockets, as CGSE up to 0.9. */
export function plain(answer: (body: PeerRequest['body']) => unknown): Script {
  return ({isPlain, body, answer: send}) => {
    if (isPlain) send(['', JSON.stringify(answer(body))])
  }
}
