import {statfs} from 'node:fs/promises'
import {messageOf, RegistryError} from '../base/errors.ts'
import type {Log} from '../base/log.ts'

const CHECK_EVERY_MS = 60_000
/** Name of the hold on the change log. */
const HOLD = 'disk'

export interface DiskGuardPorts {
  /** Directory whose volume is watched. */
  readonly dir: string
  /** Makes the log of changes read-only with a reason, and ends that. */
  readonly hold: (name: string, reason: string) => void
  readonly release: (name: string) => void
  readonly log: Pick<Log, 'error' | 'info' | 'warning'>
  /** Tests give a disk of their own. */
  readonly statfs?: (path: string) => Promise<{readonly blocks: number; readonly bavail: number}>
}

/** How full the disk is. */
export interface DiskState {
  readonly freePercent: number
  readonly minPercent: number
}

/**
 * Keeps the disk from running full (`limit:disk:free`): no start below the limit, and while the server runs changes are refused below it, so
 * that what is there can still be read, saved and shut down in order. Looked at once a minute; zero percent switches it off.
 */
export class DiskGuard {
  readonly #ports: DiskGuardPorts
  #minPercent: number
  #freePercent: number | undefined
  #isHeld = false
  #timer: NodeJS.Timeout | undefined

  constructor(ports: DiskGuardPorts, minPercent: number) {
    this.#ports = ports
    this.#minPercent = minPercent
  }

  /** What the last look found; undefined when it is off. */
  get state(): DiskState | undefined {
    if (this.#minPercent === 0 || this.#freePercent === undefined) return undefined
    return {freePercent: this.#freePercent, minPercent: this.#minPercent}
  }

  /**
   * Looks at the disk, and from then on once a minute.
   *
   * @throws RegistryError `REG_DISK_LOW` when there is too little room already
   */
  async start(): Promise<void> {
    await this.#look()
    const {state} = this
    if (state !== undefined && isLow(state)) throw lowSpace(this.#ports.dir, state)
    this.#timer ??= setInterval(() => void this.check(), CHECK_EVERY_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Takes over another limit; it holds from the next check on, which is made at once. */
  async reload(minPercent: number): Promise<void> {
    this.#minPercent = minPercent
    await this.check()
  }

  /** Looks at the disk now and refuses changes, or takes them again. */
  async check(): Promise<void> {
    await this.#look()
    const {state} = this
    const {dir, hold, release, log} = this.#ports
    const low = state !== undefined && isLow(state)
    if (low === this.#isHeld) return
    this.#isHeld = low
    if (low) {
      hold(HOLD, 'Insufficient free space on disk.')
      log.error('disk.low', {dir, ...state})
    } else {
      release(HOLD)
      log.info('disk.enough', {dir, ...state})
    }
  }

  async #look(): Promise<void> {
    if (this.#minPercent === 0) return
    const {dir, log} = this.#ports
    try {
      const {blocks, bavail} = await (this.#ports.statfs ?? statfs)(dir)
      this.#freePercent = blocks === 0 ? 100 : (bavail / blocks) * 100
    } catch (error) {
      // Not knowing is no reason to stop taking changes: the store says itself when it cannot write.
      log.warning('disk.unknown', {dir, reason: messageOf(error)})
    }
  }
}

function isLow({freePercent, minPercent}: DiskState): boolean {
  return freePercent <= minPercent
}

function lowSpace(dir: string, {freePercent, minPercent}: DiskState): RegistryError {
  const free = freePercent.toFixed(2)
  const text = `too little free space for ${dir}: ${free} percent are free, and limit:disk:free asks for more than ${minPercent}`
  return new RegistryError('REG_DISK_LOW', text, {info: {dirn: dir, freePercent: Number(free), minPercent}})
}
