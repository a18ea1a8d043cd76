import {RegistryError} from '../base/errors.ts'
import {newGuid} from '../base/ids.ts'

export interface TaskOwner {
  readonly iden: string
  readonly name: string
}

/** A call that lasts. */
export interface Task {
  /** 32 hex digits. */
  readonly iden: string
  readonly name: string
  readonly owner: TaskOwner
  readonly startedMs: number
  /** A shutdown waits for it. */
  readonly isAwaited: boolean
  /** Aborts when the task is killed. */
  readonly signal: AbortSignal
}

/**
 * The calls under way that did not end at once: who waits for what. They can be killed, and a shutdown can wait for them.
 *
 * Killing the caller's wait does not undo what was begun: a change that is on its way to the disk may still happen.
 */
export class Tasks {
  readonly #running = new Map<string, {readonly task: Task; readonly controller: AbortController}>()
  readonly #waiting = new Set<() => void>()

  /** To be ended with `end`. */
  begin(name: string, owner: TaskOwner, startedMs: number, isAwaited = true): Task {
    const controller = new AbortController()
    const task = {iden: newGuid(), name, owner, startedMs, isAwaited, signal: controller.signal}
    this.#running.set(task.iden, {task, controller})
    return task
  }

  /** Idempotent. */
  end({iden}: Task): void {
    if (!this.#running.delete(iden)) return
    for (const wake of this.#waiting) wake()
  }

  /** The longest running first. */
  list(): readonly Task[] {
    return [...this.#running.values()].map(({task}) => task)
  }

  get(iden: string): Task | undefined {
    return this.#running.get(iden)?.task
  }

  /** Ends a task, its caller gets an error; false when there is none. */
  kill(iden: string): boolean {
    const running = this.#running.get(iden)
    if (running === undefined) return false
    const text = `the task ${running.task.name} was killed; what it began may still happen`
    running.controller.abort(new RegistryError('REG_CANCELLED', text, {info: {task: iden}}))
    return true
  }

  /** Resolves true when all that are awaited are done, false after `timeoutMs`. New ones count as well. */
  async drained(timeoutMs: number | undefined): Promise<boolean> {
    if (this.#isDrained()) return true
    const {promise, resolve} = Promise.withResolvers<boolean>()
    const look = () => {
      if (this.#isDrained()) resolve(true)
    }
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => resolve(false), timeoutMs)
    this.#waiting.add(look)
    try {
      return await promise
    } finally {
      this.#waiting.delete(look)
      clearTimeout(timer)
    }
  }

  #isDrained(): boolean {
    for (const {task} of this.#running.values()) {
      if (task.isAwaited) return false
    }
    return true
  }
}
