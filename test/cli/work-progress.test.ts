import {describe, expect, test} from 'vitest'
import {workProgress} from '../../src/cli/work-progress.ts'

const MIB = 1024 * 1024

/** A terminal that remembers what was drawn, and a clock that is moved by hand. */
function screen(columns = 80) {
  const lines: string[] = []
  let ms = 5000
  const clock = {wallMs: () => ms, monotonicMs: () => ms}
  const write = (text: string) => lines.push(text.replace('\r\u001b[K', ''))
  const progress = workProgress({write, columns}, clock)
  const pass = (more: number) => {
    ms += more
  }
  return {lines, progress, pass, last: () => lines.at(-1)}
}

describe('progress on a terminal', () => {
  test('says what is done, of how much, how fast, and how long it takes yet', () => {
    const {progress, pass, last} = screen()
    progress.phase('verifying', 100 * MIB)
    expect(last()).toBe('verifying …')
    for (let second = 0; second < 5; second++) {
      pass(1000)
      progress.add(10 * MIB)
    }
    expect(last()).toBe('verifying  50 MiB of 100 MiB  50%  10 MiB/s  5s left')
  })

  test('goes by the rate of the last seconds', () => {
    const {progress, pass, last} = screen()
    progress.phase('copying', 1000 * MIB)
    for (let second = 0; second < 3; second++) {
      pass(1000)
      progress.add(100 * MIB)
    }
    for (let second = 0; second < 10; second++) {
      pass(1000)
      progress.add(10 * MIB)
    }
    expect(last()).toBe('copying  400 MiB of 1000 MiB  40%  10 MiB/s  1m left')
  })

  test('is drawn ten times a second, however often it is told', () => {
    const {progress, pass, lines} = screen()
    progress.phase('verifying', MIB)
    for (let count = 0; count < 1000; count++) {
      pass(1)
      progress.add(1)
    }
    expect(lines.length).toBeGreaterThan(5)
    expect(lines.length).toBeLessThanOrEqual(11)
  })

  test('claims nothing where the whole is not known', () => {
    const {progress, pass, last} = screen()
    progress.phase('receiving', undefined)
    pass(2000)
    progress.add(3 * MIB)
    expect(last()).toBe('receiving  3 MiB  1.5 MiB/s')
  })

  test('is not at 100% before the end', () => {
    const {progress, pass, last} = screen()
    progress.phase('verifying', 1000)
    pass(2000)
    progress.add(999)
    expect(last()).toMatch(/ 99% /)
  })

  test('fits into the terminal, and nothing of it stays', () => {
    const {progress, pass, lines, last} = screen(20)
    progress.phase('verifying', 1000)
    pass(2000)
    progress.add(999)
    expect(last()).toHaveLength(19)
    progress[Symbol.dispose]()
    expect(last()).toBe('')
    const {length} = lines
    progress.add(1)
    expect(lines).toHaveLength(length)
  })
})
