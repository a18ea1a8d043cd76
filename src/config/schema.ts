/** Validators of the options, built from the plain types of the table. The only file that knows the validation library. */
import {isIP} from 'node:net'
import {z} from 'zod'
import {DURATION_FORM, formatDuration, parseDuration} from '../base/duration.ts'
import {LOG_LEVELS, type OptionName, type OptionRow, type OptionType, rowOf} from './options.ts'

/** A value that was accepted, in the form that the conf has; or what would have been. */
export type Checked = {readonly ok: true; readonly value: unknown} | {readonly ok: false; readonly expected: string}

/** Checks the value of an option. */
export function checkValue(name: OptionName, value: unknown): Checked {
  const row = rowOf(name)
  const result = schemaOf(row).safeParse(value)
  return result.success ? {ok: true, value: result.data} : {ok: false, expected: describeType(row)}
}

/** Gives the JSON schema of what may stand in cell.yaml for an option. */
export function jsonSchemaOf(name: OptionName): Record<string, unknown> {
  const {$schema: _, ...schema} = z.toJSONSchema(schemaOf(rowOf(name)), {io: 'input', unrepresentable: 'any'})
  return schema
}

/** Says which values an option takes, to be read after "must be". */
export function describeType(row: OptionRow): string {
  if (row.kind === 'live') return describeLive(row.type)
  if (row.kind === 'peer-only') return row.type
  return row.off.map((value) => String(value)).join(' or ')
}

const LEVEL_NUMBERS = [10, 20, 30, 40, 50] // what Python calls the same levels

function schemaOf(row: OptionRow): z.ZodType {
  switch (row.kind) {
    case 'live':
      return liveSchema(row.type)
    case 'later':
      return z.literal([...row.off])
    case 'peer-only':
      return z.unknown()
  }
}

function liveSchema(type: OptionType): z.ZodType {
  switch (type.kind) {
    case 'boolean':
      return type.digits ? z.union([z.boolean(), z.literal([0, 1]).transform((digit) => digit === 1)]) : z.boolean()
    case 'integer':
      return z.int().min(type.min).max(type.max)
    case 'port':
      return z.int().min(0).max(65_535).nullable()
    case 'duration':
      return z
        .union([z.number(), z.string()])
        .transform((given) => parseDuration(String(given)) ?? Number.NaN)
        .pipe(z.number().min(type.minMs).max(type.maxMs))
    case 'choice':
      return z.enum(type.choices)
    case 'level':
      return levelSchema()
    case 'address':
      return z
        .string()
        .refine((text) => isIP(text) !== 0 || text === 'localhost')
        .transform(resolveLocalhost)
  }
}

function levelSchema(): z.ZodType {
  const byName = z.string().toLowerCase().pipe(z.enum(LOG_LEVELS))
  const byNumber = z.literal(LEVEL_NUMBERS).transform((number) => LOG_LEVELS[LEVEL_NUMBERS.indexOf(number)])
  return z.union([byName, byNumber])
}

/** A listener wants an address; which one `localhost` is must not depend on the machine's tables. */
function resolveLocalhost(text: string): string {
  return text === 'localhost' ? '127.0.0.1' : text
}

function describeLive(type: OptionType): string {
  switch (type.kind) {
    case 'boolean':
      return 'true or false'
    case 'integer':
      return `a whole number of ${type.unit} from ${type.min} to ${type.max}`
    case 'port':
      return 'a port from 0 to 65535, or null'
    case 'duration':
      return `a duration from ${formatDuration(type.minMs)} to ${formatDuration(type.maxMs)}: ${DURATION_FORM}`
    case 'choice':
      return `one of ${type.choices.join(', ')}`
    case 'level':
      return `one of ${LOG_LEVELS.join(', ')}`
    case 'address':
      return 'an IPv4 or IPv6 address, or localhost'
  }
}
