import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {Instance} from '../../src/registry/instance.ts'
import {LeaseWheel, leaseEndS} from '../../src/registry/lease.ts'
import {makeService} from '../support/service.ts'

const instanceAt = (renewedMs: number, ttlS: number) => new Instance(makeService({id: 'x'}, ttlS), 1, 0, renewedMs)

/** The rule of the Python server, which calls an entry critical when this is true. */
const isOverAtPeer = (nowMs: number, lastMs: number, ttlS: number) =>
  Math.floor(nowMs / 1000) - Math.floor(lastMs / 1000) > ttlS

describe('a lease', () => {
  test('ends in the first second in which the Python server calls the entry critical', () => {
    fc.assert(
      fc.property(fc.nat(1e9), fc.double({min: 0.001, max: 1e5, noNaN: true}), (lastMs, ttlS) => {
        const endMs = leaseEndS(lastMs, ttlS) * 1000
        expect(isOverAtPeer(endMs, lastMs, ttlS)).toBe(true)
        expect(isOverAtPeer(endMs - 1, lastMs, ttlS)).toBe(false)
      }),
    )
  })
})

describe('the wheel', () => {
  test('gives back each instance once, in the second of its end, however often it was renewed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ttlS: fc.integer({min: 1, max: 9}), renewals: fc.array(fc.nat(30_000), {maxLength: 5})}), {
          maxLength: 20,
        }),
        fc.integer({min: 1, max: 5}),
        (specs, limit) => {
          const wheel = new LeaseWheel(0)
          const watched = specs.map((spec) => ({
            instance: instanceAt(0, spec.ttlS),
            renewals: [...spec.renewals].sort((a, b) => a - b),
            endedMs: -1,
          }))
          for (const {instance} of watched) wheel.add(instance)
          for (let nowMs = 0; nowMs <= 45_000; nowMs += 250) {
            for (const one of watched) {
              for (const at of one.renewals.filter((at) => at > nowMs - 250 && at <= nowMs))
                if (one.endedMs < 0) one.instance.renewedMs = at
            }
            for (let more = true; more; ) {
              const {ended, isDone} = wheel.advance(nowMs, limit)
              more = !isDone
              for (const instance of ended) {
                const one = watched.find((candidate) => candidate.instance === instance)
                expect(one?.endedMs).toBe(-1)
                if (one !== undefined) one.endedMs = nowMs
              }
            }
          }
          for (const {instance, endedMs} of watched)
            expect(endedMs).toBe(leaseEndS(instance.renewedMs, instance.ttlS) * 1000)
        },
      ),
    )
  })

  test('lets go of those that left, however long their leases, and keeps the others', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ttlS: fc.integer({min: 1, max: 60}), isGone: fc.boolean()})), (specs) => {
        const wheel = new LeaseWheel(0)
        const watched = specs.map(({ttlS, isGone}) => ({instance: instanceAt(0, ttlS), isGone}))
        for (const {instance} of watched) wheel.add(instance)
        let [held, gone] = [watched.length, 0]
        for (const {instance} of watched.filter(({isGone}) => isGone)) {
          instance.isGone = true
          wheel.noteGone()
          held -= 1
          gone += 1
          expect(wheel.size - held).toBeLessThanOrEqual(Math.min(gone, held))
        }
        const staying = watched.filter(({isGone}) => !isGone).map(({instance}) => instance)
        expect(new Set(wheel.advance(100_000, 1000).ended)).toEqual(new Set(staying))
      }),
    )
  })

  test('forgets an instance that has left', () => {
    const wheel = new LeaseWheel(0)
    const instance = instanceAt(0, 1)
    wheel.add(instance)
    instance.isGone = true
    expect(wheel.advance(60_000, 100)).toEqual({ended: [], isDone: true})
  })
})
