import type {Progress} from '../backup/progress.ts'
import {type Clock, systemClock} from '../base/clock.ts'
import {formatDuration} from '../base/duration.ts'
import {formatBytes} from './bytes.ts'
import {printable} from './printable.ts'

const DRAW_EVERY_MS = 100
/** The rate is that of the last seconds: a disk whose cache is full gets slower. */
const RATE_OVER_MS = 5000
/** What is left is not said before this much time of a phase: nobody knows yet. */
const LEFT_AFTER_MS = 1000
const CLEAR_LINE = '\r\u001b[K'
/** Where the terminal does not say how wide it is; some say 0. */
const CUT_AT = 80

/** Progress that somebody watches; nothing of it stays when it ends. */
export interface WorkProgress extends Progress, Disposable {}

/** Where progress is drawn: a terminal. */
export interface ProgressScreen {
  write(text: string): unknown
  readonly columns?: number
}

interface Phase {
  readonly name: string
  readonly totalBytes: number | undefined
  readonly beganMs: number
  bytes: number
  /** What was drawn within the last seconds, oldest first. */
  readonly drawn: {readonly atMs: number; readonly bytes: number}[]
}

/** Draws progress in one line of a terminal: `verifying  1.2 GiB of 2 GiB  60%  480 MiB/s  2s left`. */
export function workProgress(screen: ProgressScreen, clock: Clock = systemClock): WorkProgress {
  let phase: Phase | undefined
  let nextMs = 0
  const draw = () => {
    const nowMs = clock.monotonicMs()
    if (phase === undefined || nowMs < nextMs) return
    nextMs = nowMs + DRAW_EVERY_MS
    const line = lineOf(phase, nowMs)
    screen.write(`${CLEAR_LINE}${line.slice(0, (screen.columns || CUT_AT) - 1)}`)
  }
  return {
    isShown: true,
    phase(name, totalBytes) {
      phase = {name, totalBytes, beganMs: clock.monotonicMs(), bytes: 0, drawn: []}
      nextMs = 0
      draw()
    },
    add(bytes) {
      if (phase !== undefined) phase.bytes += bytes
      draw()
    },
    [Symbol.dispose]() {
      if (phase !== undefined) screen.write(CLEAR_LINE)
      phase = undefined
    },
  }
}

function lineOf(phase: Phase, nowMs: number): string {
  const {name, totalBytes, bytes, drawn, beganMs} = phase
  drawn.push({atMs: nowMs, bytes})
  while ((drawn[0]?.atMs ?? nowMs) < nowMs - RATE_OVER_MS) drawn.shift()
  if (bytes === 0) return `${printable(name)} …`
  const first = drawn[0] ?? {atMs: nowMs, bytes}
  const ratePerS = nowMs > first.atMs ? ((bytes - first.bytes) * 1000) / (nowMs - first.atMs) : 0
  const parts = [printable(name)]
  if (totalBytes === undefined) parts.push(formatBytes(bytes))
  else parts.push(`${formatBytes(bytes)} of ${formatBytes(totalBytes)}`, percent(bytes, totalBytes))
  if (ratePerS > 0) parts.push(`${formatBytes(Math.round(ratePerS))}/s`)
  if (totalBytes !== undefined && totalBytes > bytes && ratePerS > 0 && nowMs - beganMs >= LEFT_AFTER_MS) {
    parts.push(`${formatDuration(Math.max(1000, ((totalBytes - bytes) * 1000) / ratePerS))} left`)
  }
  return parts.join('  ')
}

/** Never 100 before all is done. */
function percent(bytes: number, totalBytes: number): string {
  if (bytes >= totalBytes) return '100%'
  return `${Math.floor((bytes * 100) / totalBytes)}%`
}
