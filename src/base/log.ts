import type {Clock} from './clock.ts'
import {RegistryError} from './errors.ts'
import {errorLine, isUnforeseen, LineValues, type Plain, type PlainObject, safeJson, traceLine} from './log-values.ts'

/**
 * The log: one line per event, `lease.expired`, with its facts as fields. Two forms, both in local time, as the peers write them:
 *
 *     2026-11-21 00:12:53,578 [INFO] lease.expired id=cam-1 lateMs=12
 *     {"message":"lease.expired","logger":{…},"level":"INFO","time":"2026-11-21 00:12:53,578","params":{"id":"cam-1","lateMs":12}}
 *
 * An `Error` under the name `error` stands in `error` of the second form, with its code, traceback, facts and causes.
 */
export interface Log {
  debug(event: string, fields?: Fields): void
  info(event: string, fields?: Fields): void
  warning(event: string, fields?: Fields): void
  error(event: string, fields?: Fields): void
  critical(event: string, fields?: Fields): void
  /** Writes a warning unless one with this key was written before; for what is deprecated. The last 1000 keys are remembered. */
  warnOnce(key: string, event: string, fields?: Fields): void
  /**
   * Sets the least severe level that is written, for this log and all that `with` made of it.
   *
   * @throws RegistryError `REG_CONFIG_INVALID`
   */
  setLevel(level: string | number): void
  /** Gives a log whose lines also say whom they are about. */
  with(context: LogContext): Log
}

/** Facts of an event, units in the names. Secrets are hidden when they are a `Secret` or their name says so; long values are cut. */
export type Fields = Readonly<Record<string, unknown>>

interface LogContext {
  /** Full name of this service in its network, when it has one. */
  readonly service?: string
  /** Iden and name of the user in whose call this happens. */
  readonly user?: string
  readonly username?: string
}

export interface LogOptions {
  /** A name in any case or the number that Python's logging has for it. */
  readonly level: string | number
  readonly structured: boolean
  readonly clock: Pick<Clock, 'wallMs'>
  /** Takes one line, without its end. */
  readonly write: (line: string) => void
  /** Takes the structured form of each line, whichever form is written. */
  readonly record?: (line: string) => void
}

const LEVELS = {DEBUG: 10, INFO: 20, WARNING: 30, ERROR: 40, CRITICAL: 50} as const
type Level = keyof typeof LEVELS

const MAX_KEYS = 1000
const LOGGER: PlainObject = {name: 'registry', process: 'MainProcess', thread: 'MainThread'}

/**
 * Makes a log.
 *
 * @throws RegistryError `REG_CONFIG_INVALID` when there is no such level
 */
export function createLog(options: LogOptions): Log {
  return new LineLog(options, {threshold: readLevel(options.level), warned: new Set()}, {})
}

/** What a log shares with those made of it. */
interface Shared {
  threshold: number
  readonly warned: Set<string>
}

class LineLog implements Log {
  readonly #options: LogOptions
  readonly #shared: Shared
  readonly #context: LogContext

  constructor(options: LogOptions, shared: Shared, context: LogContext) {
    this.#options = options
    this.#shared = shared
    this.#context = context
  }

  debug(event: string, fields?: Fields): void {
    this.#log('DEBUG', event, fields)
  }

  info(event: string, fields?: Fields): void {
    this.#log('INFO', event, fields)
  }

  warning(event: string, fields?: Fields): void {
    this.#log('WARNING', event, fields)
  }

  error(event: string, fields?: Fields): void {
    this.#log('ERROR', event, fields)
  }

  critical(event: string, fields?: Fields): void {
    this.#log('CRITICAL', event, fields)
  }

  warnOnce(key: string, event: string, fields?: Fields): void {
    const {warned, threshold} = this.#shared
    if (LEVELS.WARNING < threshold || warned.has(key)) return
    for (const oldest of warned) {
      if (warned.size < MAX_KEYS) break
      warned.delete(oldest)
    }
    warned.add(key)
    this.#log('WARNING', event, fields)
  }

  setLevel(level: string | number): void {
    this.#shared.threshold = readLevel(level)
  }

  with(context: LogContext): Log {
    return new LineLog(this.#options, this.#shared, {...this.#context, ...context})
  }

  #log(level: Level, event: string, fields: Fields = {}): void {
    if (LEVELS[level] < this.#shared.threshold) return
    const line: Line = {level, event, fields, context: this.#context, time: localTime(this.#options.clock.wallMs())}
    const {structured, write, record} = this.#options
    const text = structured || record !== undefined ? structuredLine(line) : ''
    write(structured ? text : plainLine(line))
    record?.(text)
  }
}

interface Line {
  readonly level: Level
  readonly event: string
  readonly fields: Fields
  readonly context: LogContext
  readonly time: string
}

function plainLine({level, event, fields, context, time}: Line): string {
  const values = new LineValues()
  const {error} = fields
  const facts = values.object({...fields, ...context, ...(error instanceof Error ? {error: undefined} : {})})
  if (error instanceof Error) {
    facts['error'] = values.any(errorLine(error))
    if (isUnforeseen(error)) facts['traceback'] = values.any(traceLine(error))
  }
  const parts = Object.entries(facts).map(([key, value]) => ` ${bare(key)}=${bare(value)}`)
  return `${time} [${level}] ${bare(event)}${parts.join('')}`
}

const BARE = /^[\w.:/@+,#*-]+$/

/** Text stands without quotes where nothing in it could be taken for the end of the value. */
function bare(value: Plain): string {
  return typeof value === 'string' && BARE.test(value) ? value : safeJson(value)
}

/** Keys and their order are those of the peers: their tools read both. */
function structuredLine({level, event, fields, context, time}: Line): string {
  const values = new LineValues()
  const {error, ...others} = fields
  const isError = error instanceof Error
  return safeJson({
    message: event,
    logger: LOGGER,
    level,
    time,
    ...values.object({service: context.service, user: context.user, username: context.username}),
    ...(isError ? {error: values.error(error)} : {}),
    params: values.object(isError ? others : fields),
  })
}

function readLevel(level: string | number): number {
  const text = String(level).trim().toUpperCase()
  const found = Object.entries(LEVELS).find(([name, number]) => text === name || text === String(number))
  if (found !== undefined) return found[1]
  const names = Object.entries(LEVELS).map(([name, number]) => `${name} (${number})`)
  throw new RegistryError('REG_CONFIG_INVALID', `no log level ${JSON.stringify(level)}: expected ${names.join(', ')}`, {
    info: {level},
  })
}

/** `YYYY-MM-DD HH:MM:SS,mmm` in local time, as Python's logging writes it. */
function localTime(wallMs: number): string {
  const at = new Date(wallMs)
  const day = `${pad(at.getFullYear(), 4)}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`
  return `${day} ${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())},${pad(at.getMilliseconds(), 3)}`
}

function pad(value: number, digits = 2): string {
  return String(value).padStart(digits, '0')
}
