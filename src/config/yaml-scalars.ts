/**
 * The scalars of YAML 1.1 exactly as PyYAML's safe loader reads them, so that a cell.yaml means here what it means to the peer. Not what
 * the YAML specification says: `1e3` is text (PyYAML wants a point and a sign), `012` is ten, `1:30` is ninety, `yes` is true.
 * test/vectors/yaml-pyyaml.jsonl, made with PyYAML, is the measure.
 */

/** A scalar with the type that PyYAML gives it. Dates are their ISO text, as Python's `isoformat` writes them. */
export type YamlScalar =
  | {readonly type: 'null'; readonly value: null}
  | {readonly type: 'bool'; readonly value: boolean}
  | {readonly type: 'int'; readonly value: number | bigint}
  | {readonly type: 'float'; readonly value: number}
  | {readonly type: 'date' | 'datetime'; readonly value: string}
  | {readonly type: 'str'; readonly value: string}

/** How much of configuration text is read. */
export const YAML_LIMITS = {
  fileBytes: 64 * 1024,
  variableBytes: 4 * 1024,
  levels: 32,
} as const

/** A scalar that PyYAML recognizes by its form and then cannot read, such as the 31st of February. */
export class YamlScalarError extends Error {}

const TRUE = /^(?:yes|true|on|Yes|True|On|YES|TRUE|ON)$/
const FALSE = /^(?:no|false|off|No|False|Off|NO|FALSE|OFF)$/
const NULL = /^(?:~|null|Null|NULL|)$/
const INT =
  /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/
const FLOAT =
  /^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/
const DATE = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/
const DATETIME =
  /^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt]|[ \t]+)([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]*))?(?:[ \t]*(Z|([-+])([0-9]{1,2})(?::([0-9]{2}))?))?$/
/** Python converts at most so many decimal digits of text to an integer. */
const LARGEST_DIGITS = 4300

/** Reads a plain (unquoted) scalar. */
export function readPlainScalar(text: string): YamlScalar {
  if (NULL.test(text)) return {type: 'null', value: null}
  if (TRUE.test(text)) return {type: 'bool', value: true}
  if (FALSE.test(text)) return {type: 'bool', value: false}
  if (INT.test(text)) return readInt(text)
  if (FLOAT.test(text)) return readFloat(text)
  if (DATE.test(text) || DATETIME.test(text)) return readTimestamp(text)
  // PyYAML gives it a type of its own, which its safe loader then cannot make.
  if (text === '=') throw new YamlScalarError('a single = is no value; put it in quotes')
  if (text === '<<') throw new YamlScalarError('merge keys are not allowed; put the text << in quotes')
  return {type: 'str', value: text}
}

const SIMPLE = /^-?[A-Za-z0-9_.+][\w.+-]{0,99}(?::[\w.+-]{1,99}){0,9}$/

/**
 * Reads a text that is one plain word, as nearly all variables, flags and defaults are; undefined for anything else. What this reads, the
 * parser reads alike; it spares loading the parser at every start.
 */
export function readSimpleText(text: string): YamlScalar | undefined {
  if (text !== '' && (!SIMPLE.test(text) || text.startsWith('...'))) return undefined
  try {
    return readPlainScalar(text)
  } catch {
    return undefined // The parser refuses it, and says where.
  }
}

/** Gives the plain value of a scalar: dates as their text in an object, whole numbers beyond 2^53 as bigint. */
export function scalarValue(scalar: YamlScalar): unknown {
  return scalar.type === 'date' || scalar.type === 'datetime' ? {[scalar.type]: scalar.value} : scalar.value
}

/** Reads a scalar whose type is said by a tag (`int`, `float`, `bool`, `null` or `str`). */
export function readTaggedScalar(type: 'int' | 'float' | 'bool' | 'null' | 'str', text: string): YamlScalar {
  if (type === 'str') return {type, value: text}
  if (type === 'null') return {type, value: null}
  if (type === 'int' && INT.test(text)) return readInt(text)
  if (type === 'float' && (FLOAT.test(text) || /^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?$/.test(text))) {
    return readFloat(text)
  }
  const plain = readPlainScalar(text)
  if (type === 'bool' && plain.type === 'bool') return plain
  throw new YamlScalarError(`${JSON.stringify(text)} is not of the type that its tag says`)
}

function readInt(text: string): YamlScalar {
  const plain = text.replaceAll('_', '')
  const isNegative = plain.startsWith('-')
  const digits = plain.replace(/^[-+]/, '')
  if (digits.length > LARGEST_DIGITS) throw new YamlScalarError('the number is too long')
  const size = unsigned(digits)
  const value = isNegative ? -size : size
  return {type: 'int', value: Number.isSafeInteger(Number(value)) ? Number(value) : value}
}

function unsigned(digits: string): bigint {
  if (digits.includes(':')) return digits.split(':').reduce((total, part) => total * 60n + BigInt(part), 0n)
  if (/^0[bx]$/.test(digits)) throw new YamlScalarError(`${digits} is a number without digits`)
  if (/^0[bx]/.test(digits)) return BigInt(digits)
  return digits.length > 1 && digits.startsWith('0') ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits)
}

function readFloat(text: string): YamlScalar {
  const plain = text.replaceAll('_', '').toLowerCase()
  const sign = plain.startsWith('-') ? -1 : 1
  const digits = plain.replace(/^[-+]/, '')
  if (digits === '.inf') return {type: 'float', value: sign * Number.POSITIVE_INFINITY}
  if (digits === '.nan') return {type: 'float', value: Number.NaN}
  if (!digits.includes(':')) return {type: 'float', value: sign * Number(digits)}
  // The order of the additions is PyYAML's: the last bits depend on it.
  let value = 0
  let base = 1
  for (const part of digits.split(':').reverse()) {
    value += Number(part) * base
    base *= 60
  }
  return {type: 'float', value: sign * value}
}

function readTimestamp(text: string): YamlScalar {
  const day = DATE.exec(text)
  if (day !== null) {
    checkDate(text, Number(day[1]), Number(day[2]), Number(day[3]))
    return {type: 'date', value: text}
  }
  const [
    ,
    year = '',
    month = '',
    date = '',
    hour = '',
    minute = '',
    second = '',
    fraction = '',
    zone,
    sign,
    zoneHour,
    zoneMinute,
  ] = DATETIME.exec(text) ?? []
  checkDate(text, Number(year), Number(month), Number(date))
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59)
    throw new YamlScalarError(`${text} is not a time`)
  const two = (part: string | number) => String(part).padStart(2, '0')
  const micros = fraction.slice(0, 6).padEnd(6, '0')
  const time = `${two(hour)}:${minute}:${second}${micros === '000000' ? '' : `.${micros}`}`
  const offset = zone === undefined ? '' : zoneText(text, sign, Number(zoneHour ?? 0), Number(zoneMinute ?? 0))
  return {type: 'datetime', value: `${year}-${two(month)}-${two(date)}T${time}${offset}`}
}

function zoneText(text: string, sign: string | undefined, hours: number, minutes: number): string {
  const total = hours * 60 + minutes
  if (total >= 24 * 60) throw new YamlScalarError(`${text} has a time zone beyond a day`)
  const two = (part: number) => String(part).padStart(2, '0')
  return `${total === 0 ? '+' : (sign ?? '+')}${two(Math.floor(total / 60))}:${two(total % 60)}`
}

function checkDate(text: string, year: number, month: number, day: number): void {
  const last = new Date(0)
  last.setUTCFullYear(year, month, 0)
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > last.getUTCDate()) {
    throw new YamlScalarError(`${text} is not a date`)
  }
}
