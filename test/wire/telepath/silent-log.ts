import {systemClock} from '../../../src/base/clock.ts'
import {createLog, type Log} from '../../../src/base/log.ts'

/** A log into a list of lines, which nobody needs to look at. */
export function silentLog(lines: string[] = []): Log {
  return createLog({level: 'DEBUG', structured: false, clock: systemClock, write: (line) => lines.push(line)})
}
