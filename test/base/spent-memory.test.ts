import {afterEach, beforeEach, describe, expect, it, vi} from 'vitest'
import {releaseSpent, SpentMemory} from '../../src/base/spent-memory.ts'

const heap = vi.hoisted(() => ({bytes: 0}))
vi.mock('node:v8', () => ({getHeapStatistics: () => ({total_heap_size: heap.bytes})}))

const MIB = 1024 * 1024

describe('SpentMemory', () => {
  const gc = vi.fn()

  beforeEach(() => {
    vi.useFakeTimers()
    vi.stubGlobal('gc', gc)
    gc.mockClear()
    heap.bytes = 10 * MIB
  })

  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  it('releases at once what starting has left', () => {
    new SpentMemory()
    expect(gc).toHaveBeenCalledExactlyOnceWith({type: 'major', flavor: 'last-resort', execution: 'sync'})
  })

  it('releases once more when much was done, and once only', () => {
    const spent = new SpentMemory()
    heap.bytes = 20 * MIB
    spent.worked()
    vi.advanceTimersByTime(60_000)
    expect(gc).toHaveBeenCalledTimes(2)
    spent.worked()
    vi.advanceTimersByTime(60_000)
    expect(gc).toHaveBeenCalledTimes(2)
  })

  it('leaves a thread alone that grew little', () => {
    const spent = new SpentMemory()
    heap.bytes = 13 * MIB
    spent.worked()
    vi.advanceTimersByTime(60_000)
    expect(gc).toHaveBeenCalledTimes(1)
  })

  it('waits for as long as there is something to do', () => {
    const spent = new SpentMemory()
    heap.bytes = 20 * MIB
    for (let passed = 0; passed < 100; passed += 1) {
      spent.worked()
      vi.advanceTimersByTime(100)
    }
    expect(gc).toHaveBeenCalledTimes(1)
    vi.advanceTimersByTime(600)
    expect(gc).toHaveBeenCalledTimes(2)
  })

  it('does nothing where Node gives no collector', () => {
    vi.stubGlobal('gc', undefined)
    expect(() => releaseSpent()).not.toThrow()
    expect(() => new SpentMemory().worked()).not.toThrow()
  })
})
