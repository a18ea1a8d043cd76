import {type EventItem, EventSocket} from '../wire/zeromq/event-socket.ts'

/** One item after the other from an event socket that may be exchanged, with a limit on waiting. */
export class EventInbox {
  #socket: EventSocket | undefined
  #items: AsyncGenerator<EventItem, void, void> | undefined
  #ready: EventItem | undefined
  #isAsking = false
  #wake: (() => void) | undefined
  #isConnected = false

  get isConnected(): boolean {
    return this.#isConnected
  }

  /** Listens there from now on, or nowhere. */
  async open(address: string | undefined): Promise<void> {
    await this.close()
    if (address === undefined) return
    this.#socket = new EventSocket({address})
    this.#items = this.#socket[Symbol.asyncIterator]()
  }

  /** Gives the next item; undefined when none came for so long, or when `wake` was called. */
  async take(waitMs: number): Promise<EventItem | undefined> {
    this.#ask()
    if (this.#ready === undefined) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = undefined
    }
    const item = this.#ready
    this.#ready = undefined
    return item
  }

  wake(): void {
    this.#wake?.()
  }

  async close(): Promise<void> {
    this.#items = undefined
    this.#ready = undefined
    this.#isAsking = false
    this.#isConnected = false
    this.wake()
    await this.#socket?.close()
    this.#socket = undefined
  }

  #ask(): void {
    const items = this.#items
    if (items === undefined || this.#isAsking || this.#ready !== undefined) return
    this.#isAsking = true
    void items.next().then(({value}) => {
      if (items !== this.#items) return
      this.#isAsking = false
      if (value?.kind === 'connected') this.#isConnected = true
      if (value?.kind === 'disconnected') this.#isConnected = false
      this.#ready = value ?? undefined
      this.wake()
    })
  }
}
