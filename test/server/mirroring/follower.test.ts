import {expect, test} from 'vitest'
import {systemClock} from '../../../src/base/clock.ts'
import {RegistryError} from '../../../src/base/errors.ts'
import {ChangeLog, COMMIT_LIMITS} from '../../../src/nexus/change-log.ts'
import {Follower} from '../../../src/server/mirroring/follower.ts'
import {LeadLedger} from '../../../src/server/mirroring/lead-ledger.ts'
import {MemoryStore} from '../../../src/store/memory.ts'

const SELF = {member: 'a'.repeat(32), name: '01.demo.net', urls: []}
const [GONE, UNKNOWN] = ['ssl://00.demo.net', 'ssl://nowhere.demo.net'] as const

test('of several URLs that lead nowhere each is told of once, and again when it fails for another reason', async () => {
  const store = new MemoryStore()
  const head = await store.open()
  const changes = new ChangeLog(store, {...COMMIT_LIMITS, head})
  const ledger = await LeadLedger.open({store, changeLog: changes, clock: systemClock}, head.iden)
  const told: unknown[] = []
  const tried: string[] = []
  const enough = Promise.withResolvers<void>()
  const follower = new Follower(
    {
      ...{changes, ledger, clock: systemClock, cellIden: 'c'.repeat(32), run: 'f'.repeat(32), version: '1'},
      open: async (url) => {
        tried.push(url)
        if (tried.length === 10) enough.resolve()
        const code = url === GONE && tried.length > 6 ? 'REG_TIMED_OUT' : 'REG_UNREACHABLE'
        throw new RegistryError(code, `${code} ${url}`)
      },
      log: {
        info: () => undefined,
        error: () => undefined,
        warning: (name, fields) => told.push([name, fields?.['url']]),
      },
      self: () => SELF,
      knownEpoch: () => 0,
      onRenewed: () => undefined,
      toTell: () => ({
        renewed: () => [],
        archivers: () => [],
        sessions: () => ({opened: [], closed: []}),
        isFrozen: () => false,
        close: () => undefined,
      }),
      onCulled: () => undefined,
    },
    [GONE, UNKNOWN],
  )
  follower.start()
  await enough.promise
  await follower.stop()
  expect(tried.slice(0, 4)).toEqual([GONE, UNKNOWN, GONE, UNKNOWN])
  expect(told).toEqual([GONE, UNKNOWN, GONE].map((url) => ['mirror.not-linked', url]))
})
