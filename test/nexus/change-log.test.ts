import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest'
import {ChangeLog, COMMIT_LIMITS} from '../../src/nexus/change-log.ts'
import {FakeClock} from '../support/api.ts'
import {MoodyStore} from '../support/moody-store.ts'

let store: MoodyStore
let opened: number
beforeEach(async () => {
  store = new MoodyStore()
  await store.open()
  opened = 0
})
afterEach(() => {
  vi.useRealTimers()
})

function open(limits: {readonly batchMax: number; readonly queueMax: number} = COMMIT_LIMITS): ChangeLog {
  const log = new ChangeLog(store, {...limits, clock: new FakeClock()})
  log.join({onReset: () => {}})
  log.join({
    onReset: () => {},
    onOpen: () => {
      expect(log.refusal()).toBeUndefined()
      opened += 1
    },
  })
  return log
}

function propose(log: ChangeLog): Promise<number> {
  const effect = {kind: 'records', records: []} as const
  return new Promise((committed, failed) => {
    log.propose({entry: {timeMs: 0, actor: 'test', change: '{}', effect}, committed, failed})
  })
}

describe('who was refused hears when changes are taken again', () => {
  test('after the store failed, as soon as it can be written', async () => {
    vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']})
    const log = open()
    store.isBroken = true
    await expect(propose(log)).rejects.toThrow('disk full')
    await vi.advanceTimersByTimeAsync(2000)
    expect(opened).toBe(0)
    store.isBroken = false
    await vi.advanceTimersByTimeAsync(500)
    expect(opened).toBe(1)
    await propose(log)
    log.close()
  })

  test('after the last hold was released', () => {
    const log = open()
    log.hold('disk', 'low')
    log.hold('freeze', 'frozen')
    log.release('disk')
    expect(opened).toBe(0)
    log.release('freeze')
    log.release('freeze')
    expect(opened).toBe(1)
  })

  test('when there is room again, not after each commit', async () => {
    const log = open({batchMax: 2, queueMax: 3})
    await Promise.all([propose(log), propose(log)])
    expect(opened).toBe(0)
    const three = [propose(log), propose(log), propose(log)]
    expect(log.refusal()).toMatchObject({code: 'REG_BUSY'})
    await Promise.all(three)
    expect(opened).toBe(1)
  })

  test('but not after the end', () => {
    const log = open()
    log.hold('disk', 'low')
    log.close()
    log.release('disk')
    expect(opened).toBe(0)
  })
})
