import type {Rule} from '../auth/model.ts'
import {readPath} from '../auth/rule.ts'
import {RegistryError} from '../base/errors.ts'

/**
 * Permissions as people type and read them: `axon.upload`, and with quotes where an element holds a dot:
 * `aha.service.get."prod.example.net"`.
 */
const ELEMENT = /"(?:[^"\\]|\\.)*"|[^."]+/y
const PLAIN = /^[^."\\\s]+$/

/**
 * Reads a permission.
 *
 * @throws RegistryError `REG_USAGE`
 */
export function parsePermission(text: string): readonly string[] {
  const path: string[] = []
  let at = 0
  for (;;) {
    ELEMENT.lastIndex = at
    const element = ELEMENT.exec(text)?.[0]
    if (element === undefined) throw badPermission(text)
    path.push(element.startsWith('"') ? unquoted(element, text) : element)
    at += element.length
    if (at === text.length) return readPath(path, JSON.stringify(text))
    if (text[at] !== '.') throw badPermission(text)
    at += 1
  }
}

/** Reads a rule: a permission, with `!` in front to deny it. Throws as `parsePermission`. */
export function parseRuleText(text: string): Rule {
  return text.startsWith('!') ? [false, parsePermission(text.slice(1))] : [true, parsePermission(text)]
}

/** Writes a permission so that it reads as the same again. */
export function permissionText(path: readonly string[]): string {
  return path.map((element) => (PLAIN.test(element) ? element : JSON.stringify(element))).join('.')
}

/** Writes a rule so that it reads as the same again. */
export function ruleText([isAllowed, path]: Rule): string {
  return `${isAllowed ? '' : '!'}${permissionText(path)}`
}

function unquoted(element: string, text: string): string {
  try {
    return JSON.parse(element)
  } catch (error) {
    throw badPermission(text, error)
  }
}

function badPermission(text: string, cause?: unknown): RegistryError {
  return new RegistryError('REG_USAGE', `${JSON.stringify(text)} is not a permission`, {
    hints: ['write it like axon.upload, or like aha.service.get."prod.example.net" where a part holds a dot'],
    cause,
  })
}
