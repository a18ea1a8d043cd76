import {styleText} from 'node:util'
import {ERRORS, messageOf, RegistryError} from '../base/errors.ts'
import {parseExact} from './exact-json.ts'
import {printable, printableJson} from './printable.ts'

/** What a command says about an error: the shape under `--json`, and what the text on a terminal is made from. */
export interface ErrorReport {
  readonly code: string
  readonly message: string
  readonly hints: readonly string[]
  readonly info: Readonly<Record<string, unknown>>
}

/** The parts of oclif's errors that are looked at. */
interface OclifError extends Error {
  readonly oclif: {readonly exit?: number}
}

/** What oclif adds to the message of every error while it parses, ours included. */
const PARSE_HELP = /\nSee more help with --help$/
const PARSE_FLAG = /^Parsing (--?\S+) \n\t/

function isOclifError(thrown: unknown): thrown is OclifError {
  return thrown instanceof Error && 'oclif' in thrown && typeof thrown.oclif === 'object' && thrown.oclif !== null
}

/** Makes one of our errors of whatever was thrown. `command` is the command as it is typed, without flags. */
export function toRegistryError(thrown: unknown, command: string): RegistryError {
  const help = [`registry help ${command}`.trim()]
  if (thrown instanceof RegistryError) {
    const {code, message, info, hints} = thrown
    const isGeneral = code === 'REG_USAGE' && hints === ERRORS.REG_USAGE.hints
    return isGeneral ? new RegistryError(code, tidy(message), {info, hints: help, cause: thrown}) : thrown
  }
  if (isOclifError(thrown)) {
    return new RegistryError('REG_USAGE', tidy(thrown.message), {hints: help, cause: thrown})
  }
  return new RegistryError('REG_INTERNAL', messageOf(thrown) || 'unknown error', {
    info: thrown instanceof Error ? {name: thrown.name} : {},
    cause: thrown,
  })
}

function tidy(message: string): string {
  return message.replace(PARSE_HELP, '').replace(PARSE_FLAG, '$1: ').trim()
}

/** Gives the exit status that a command ends with after `error`. */
export function exitOf(error: RegistryError): number {
  return ERRORS[error.code].exit
}

/** Gives the object that stands under `error` with `--json`. */
export function reportOf(error: RegistryError): ErrorReport {
  return {code: error.code, message: error.message, hints: error.hints, info: error.info}
}

/**
 * Prints an error. For people, on stderr: what happened, then the next steps, one per line. With `json`, on stdout, in one line, so that
 * it can also end a stream. `withStack` adds where it came from, on stderr.
 */
export function printError(error: RegistryError, {json, withStack}: {json: boolean; withStack: boolean}): void {
  if (json) process.stdout.write(`${printableJson(JSON.stringify({error: reportOf(error)}, exactly))}\n`)
  else process.stderr.write(errorText(error))
  if (withStack) process.stderr.write(`${stackOf(error)}\n`)
}

/** Peers may send integers of any size as facts. */
function exactly(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? parseExact(String(value)) : value
}

function errorText(error: RegistryError): string {
  const style = (format: 'red' | 'dim', text: string) => styleText(format, text, {stream: process.stderr})
  // Whoever pressed Ctrl-C knows; it is not a thing gone wrong.
  if (error.code === 'REG_CANCELLED') return `${printable(error.message)}\n`
  const lines = [`${style('red', 'error:')} ${printable(error.message, true)} ${style('dim', `(${error.code})`)}`]
  for (const hint of error.hints) lines.push(`  ${style('dim', 'try:')} ${printable(hint)}`)
  return `${lines.join('\n')}\n`
}

function stackOf(error: RegistryError): string {
  const cause = error.cause instanceof Error ? `\ncaused by: ${error.cause.stack}` : ''
  return `${error.stack}${cause}`
}
