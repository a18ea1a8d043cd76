import type {Clock} from './clock.ts'
import {messageOf, RegistryError} from './errors.ts'

export type LogFields = Readonly<Record<string, unknown>>

/** Writes events: a dotted lower-case name and facts as fields, one line each. */
export interface Log {
  debug(event: string, fields: LogFields): void
  info(event: string, fields: LogFields): void
  warning(event: string, fields: LogFields): void
  error(event: string, fields: LogFields): void
  critical(event: string, fields: LogFields): void
  /** Warns the first time that `key` is given, for what would repeat itself. */
  warnOnce(key: string, event: string, fields: LogFields): void
  setLevel(level: LogLevel): void
}

const LEVELS = {debug: 10, info: 20, warning: 30, error: 40, critical: 50} as const
export type LogLevel = keyof typeof LEVELS

export interface LogOptions {
  readonly level: LogLevel
  /** One JSON object per line instead of plain text. */
  readonly structured: boolean
  readonly clock: Pick<Clock, 'wallMs'>
  /** Takes a line without its end. */
  readonly write: (line: string) => void
}

export function createLog(options: LogOptions): Log {
  let minimum: number = LEVELS[options.level]
  const warned = new Set<string>()
  const format = options.structured ? structuredLine : plainLine
  const at = (level: LogLevel) => (event: string, fields: LogFields) => {
    if (LEVELS[level] >= minimum) options.write(format(level, timeText(options.clock.wallMs()), event, fields))
  }
  const warning = at('warning')
  return {
    debug: at('debug'),
    info: at('info'),
    warning,
    error: at('error'),
    critical: at('critical'),
    warnOnce(key, event, fields) {
      if (warned.has(key)) return
      warned.add(key)
      warning(event, fields)
    },
    setLevel(level) {
      minimum = LEVELS[level]
    },
  }
}

function plainLine(level: LogLevel, time: string, event: string, fields: LogFields): string {
  const facts = Object.entries(fields).map(([name, value]) => ` ${name}=${plainValue(value)}`)
  return `${time} [${level.toUpperCase()}] ${event}${facts.join('')}`
}

function plainValue(value: unknown): string {
  if (value instanceof RegistryError) return JSON.stringify(`${value.code}: ${value.message}`)
  const text = typeof value === 'string' ? value : value instanceof Error ? value.message : JSON.stringify(value)
  return /^[\w.:/@+-]+$/.test(text) ? text : JSON.stringify(text)
}

function structuredLine(level: LogLevel, time: string, event: string, {error, ...params}: LogFields): string {
  return JSON.stringify({
    message: event,
    logger: {name: 'registry', process: 'MainProcess', thread: 'MainThread'},
    level: level.toUpperCase(),
    time,
    ...(error === undefined ? {} : {error: errorFields(error)}),
    params,
  })
}

function errorFields(error: unknown): object {
  const code = error instanceof RegistryError ? error.code : 'REG_INTERNAL'
  return {code, info: error instanceof RegistryError ? error.info : {}, mesg: messageOf(error)}
}

/** Local time, as the peers' logs have it: `2026-11-21 00:12:53,578`. */
function timeText(wallMs: number): string {
  const time = new Date(wallMs)
  const two = (value: number) => String(value).padStart(2, '0')
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
  return `${date} ${clock},${String(time.getMilliseconds()).padStart(3, '0')}`
}
