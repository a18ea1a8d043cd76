import type {LeaseClock} from '../base/clock.ts'
import type {Catalog} from '../registry/catalog.ts'
import type {Instance} from '../registry/instance.ts'
import {type LeaseWheel, leaseEndS} from '../registry/lease.ts'
import type {Registrar} from './registrar.ts'

/** Longest time between two looks at the clock; also how late a removal can be noticed. */
const TICK_MS = 100
/** Instances looked at in one turn of the event loop: a few milliseconds at the most. */
const SLICE = 2000
/** Removals under way at a time. */
const EXPIRING_MAX = 600
const ACTOR = 'registry:sweeper'

/**
 * A leader ends leases and removes what has ended. A mirror ends them too, as it gets to know of renewals, and leaves it to the leader to remove.
 * Without a leader nobody knows who is alive: time stands still for leases.
 */
export type SweepMode = 'remove' | 'end' | 'stand'

export interface SweeperPorts {
  readonly catalog: Catalog
  readonly wheel: LeaseWheel
  readonly leaseClock: LeaseClock
  readonly registrar: Registrar
  /** What is to be done at the end of leases; they end and are removed when absent. */
  readonly mode?: () => SweepMode
  /** Called when the process stood still for so many milliseconds; leases get them back. */
  readonly onLostTime: (lostMs: number) => void
}

export interface SweeperOptions {
  /** How long a critical instance stays listed. */
  readonly graceMs: number
  /** Time between full passes. */
  readonly cleanupMs: number
}

/**
 * The only timer over leases. At a lease's end the instance becomes critical; after `graceMs` it is removed, which is a change like any
 * other: durable, then announced. Nothing is removed while the store refuses changes, nor what is in maintenance: the full pass removes that
 * once its maintenance has ended.
 */
export class Sweeper {
  readonly #ports: SweeperPorts
  #graceMs: number
  #cleanupMs: number
  /** Critical instances in the order in which they became so, which is the order of their removal. */
  #critical: {readonly instance: Instance; readonly sinceMs: number}[] = []
  #head = 0
  /** The instances among them, so that the full pass adds none twice. */
  readonly #queued = new Set<Instance>()
  #expiring = 0
  #timer: NodeJS.Timeout | undefined
  #nextPassMs: number
  #isStopped = false
  #mode: SweepMode = 'remove'

  constructor(ports: SweeperPorts, options: SweeperOptions) {
    this.#ports = ports
    this.#graceMs = options.graceMs
    this.#cleanupMs = options.cleanupMs
    this.#nextPassMs = ports.leaseClock.nowMs() + options.cleanupMs
  }

  /** Takes over other times, from the next look at the clock on. */
  reload(options: SweeperOptions): void {
    this.#graceMs = options.graceMs
    this.#cleanupMs = options.cleanupMs
    this.#nextPassMs = this.#ports.leaseClock.nowMs() + options.cleanupMs
  }

  start(): void {
    // The time since the clock was made went into the start of the server, and was no standstill.
    this.#ports.leaseClock.tick()
    this.#tick()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #tick(): void {
    if (this.#isStopped) return
    const {leaseClock, wheel, mode} = this.#ports
    this.#mode = mode?.() ?? 'remove'
    if (this.#mode === 'stand') {
      leaseClock.stand()
      this.#timer = setTimeout(() => this.#tick(), TICK_MS)
      return
    }
    const lostMs = leaseClock.tick()
    if (lostMs > 0) this.#ports.onLostTime(lostMs)
    const nowMs = leaseClock.nowMs()
    const {ended, isDone} = wheel.advance(nowMs, SLICE)
    for (const instance of ended) this.#markCritical(instance, nowMs)
    this.#removeOverdue(nowMs)
    if (nowMs >= this.#nextPassMs) {
      this.#nextPassMs = nowMs + this.#cleanupMs
      this.#pass(this.#ports.catalog.all()[Symbol.iterator]())
    }
    if (isDone) this.#timer = setTimeout(() => this.#tick(), Math.min(TICK_MS, 1000 - (nowMs % 1000) + 1))
    else setImmediate(() => this.#tick())
  }

  #markCritical(instance: Instance, nowMs: number): void {
    // The grace counts from the moment the lease ended, not from when it was noticed.
    instance.criticalSinceMs = Math.min(nowMs, leaseEndS(instance.renewedMs, instance.ttlS) * 1000)
    this.#ports.catalog.setHealth(instance, 'critical')
    this.#enqueue(instance)
  }

  #enqueue(instance: Instance): void {
    if (this.#mode !== 'remove') return // found by a full pass when this member leads
    this.#queued.add(instance)
    this.#critical.push({instance, sinceMs: instance.criticalSinceMs})
  }

  #removeOverdue(nowMs: number): void {
    const {registrar} = this.#ports
    if (this.#mode !== 'remove') return
    while (!this.#isStopped && this.#expiring < EXPIRING_MAX && registrar.problem === undefined) {
      const first = this.#critical[this.#head]
      if (first === undefined || first.sinceMs + this.#graceMs > nowMs) break
      this.#head += 1
      // It came back meanwhile, and stands further behind if it is critical again.
      if (first.sinceMs !== first.instance.criticalSinceMs) continue
      this.#queued.delete(first.instance)
      if (isStill(first.instance)) this.#remove(first.instance)
    }
    if (this.#head > 4096 || this.#head === this.#critical.length) {
      this.#critical = this.#critical.slice(this.#head)
      this.#head = 0
    }
  }

  #remove(instance: Instance): void {
    this.#expiring += 1
    const isProposed = this.#ports.registrar.expire(instance, ACTOR, () => {
      this.#expiring -= 1
      // Half of them left: let the next ones join the batch that is filling.
      if (this.#expiring === EXPIRING_MAX / 2) setImmediate(() => this.#removeOverdue(this.#ports.leaseClock.nowMs()))
    })
    if (!isProposed) this.#expiring -= 1
  }

  /** Looks at every instance, in slices: finds leases that no list holds and removals that failed. */
  #pass(instances: Iterator<Instance>): void {
    const nowMs = this.#ports.leaseClock.nowMs()
    for (let looked = 0; looked < SLICE; looked += 1) {
      const {value: instance, done} = instances.next()
      if (done === true) return
      const isOver = leaseEndS(instance.renewedMs, instance.ttlS) * 1000 + this.#cleanupMs <= nowMs
      if (instance.health === 'passing' && isOver) this.#markCritical(instance, nowMs)
      else if (isForgotten(instance, nowMs - this.#graceMs - this.#cleanupMs) && !this.#queued.has(instance)) {
        this.#enqueue(instance)
      }
    }
    if (!this.#isStopped) setImmediate(() => this.#pass(instances))
  }
}

function isStill(instance: Instance): boolean {
  return !instance.isGone && instance.health === 'critical'
}

function isForgotten(instance: Instance, beforeMs: number): boolean {
  if (instance.health !== 'critical' || instance.isExpiring || instance.isMaintained || !instance.isLeased) return false
  return instance.criticalSinceMs < beforeMs
}
