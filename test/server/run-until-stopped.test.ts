import {expect, test} from 'vitest'
import {runUntilStopped} from '../../src/server/run-until-stopped.ts'
import type {RunningRegistry} from '../../src/server/running-registry.ts'

/** A registry as far as its process goes: counts what is asked of it. */
class Asked {
  reloads = 0
  stops = 0
  readonly #stopped = Promise.withResolvers<undefined>()

  get registry(): RunningRegistry {
    return {
      stopped: this.#stopped.promise,
      reload: async () => {
        this.reloads += 1
        return {live: [], restart: []}
      },
      stop: async () => {
        this.stops += 1
        this.#stopped.resolve(undefined)
      },
    } as unknown as RunningRegistry
  }
}

test('SIGHUP reloads once for each, also for one that comes while the registry starts', async () => {
  const asked = new Asked()
  const {registry} = asked
  const running = runUntilStopped(
    async () => {
      process.emit('SIGHUP', 'SIGHUP')
      return registry
    },
    () => {},
  )
  await expect.poll(() => asked.reloads).toBe(1)
  process.emit('SIGHUP', 'SIGHUP')
  expect(asked.reloads).toBe(2)
  await registry.stop()
  await running
  expect(asked.reloads).toBe(2)
})

test('SIGTERM while it starts stops it when it has started, without a word of its start', async () => {
  const asked = new Asked()
  let started = 0
  await runUntilStopped(
    async (signal) => {
      process.emit('SIGTERM', 'SIGTERM')
      expect(signal.aborted).toBe(true)
      return asked.registry
    },
    () => {
      started += 1
    },
  )
  expect([started, asked.stops]).toEqual([0, 1])
})
