import {onTestFinished, vi} from 'vitest'

/** Time that a test moves itself, for what has a limit in time and must not reach it because the machine is busy. */
export interface StoppedClock {
  /** Lets so much time pass; calls what is due by then. */
  pass(ms: number): Promise<void>
}

/** Stops timers and the monotonic clock in this process until the test is over. What sockets and files do goes on. */
export function stopClock(): StoppedClock {
  vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout', 'performance']})
  onTestFinished(() => {
    vi.useRealTimers()
  })
  return {
    pass: async (ms) => {
      await vi.advanceTimersByTimeAsync(ms)
    },
  }
}
