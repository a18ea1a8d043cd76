/** What names, addresses, idens and passwords of users must look like, and the errors about users in the peer's words. */
import {RegistryError} from '../base/errors.ts'

/** Longest name of a user, role or key, and longest password, in UTF-16 units. */
const MAX_NAME = 256
const MAX_PASSWD = 1024
/** RFC 5321. */
const MAX_EMAIL = 254

const IDEN = /^[0-9a-f]{32}$/
const EMAIL = /^[^@\s\p{Cc}]+@[^@\s\p{Cc}]+$/u
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}]/u

/**
 * Checks a name that is shown in lists and logs.
 *
 * @throws RegistryError `REG_BAD_REQUEST`
 */
export function checkName(name: string, what: string): void {
  if (name === '') throw badArg(`${what} must not be empty`, 'name')
  if (name.length > MAX_NAME) throw badArg(`${what} must not be longer than ${MAX_NAME} characters`, 'name')
  if (UNPRINTABLE.test(name) || !name.isWellFormed()) throw badArg(`${what} must not hold control characters`, 'name')
}

/**
 * Brings an address to the form in which it is unique: lower case, without space around it. Null for one that is empty.
 *
 * @throws RegistryError `REG_BAD_REQUEST`
 */
export function normEmail(email: string | null | undefined): string | null {
  const text = email?.trim().toLowerCase() ?? ''
  if (text === '') return null
  if (text.length > MAX_EMAIL) throw badArg(`an email address must not be longer than ${MAX_EMAIL} characters`, 'email')
  if (EMAIL.test(text) && text.isWellFormed()) return text
  throw badArg(`Email address expected in <user>@<fqdn> format, got ${JSON.stringify(text)}`, 'email')
}

/**
 * Checks an iden that the caller chose.
 *
 * @throws RegistryError `REG_BAD_REQUEST`
 */
export function checkIden(iden: string): void {
  if (!IDEN.test(iden)) throw badArg('an iden must be 32 lower-case hex digits', 'iden')
}

/**
 * Checks a new password before it is hashed.
 *
 * @throws RegistryError `REG_BAD_REQUEST`
 */
export function checkPasswd(passwd: string): void {
  if (passwd === '') throw badArg('Password must be a string', 'passwd')
  if (passwd.length > MAX_PASSWD) {
    throw badArg(`Password must not be longer than ${MAX_PASSWD} characters`, 'passwd')
  }
  if (!passwd.isWellFormed()) throw badArg('Password must be valid Unicode', 'passwd')
}

/** Tells whether a text can be the password of anyone. */
export function canBePasswd(passwd: string): boolean {
  return passwd !== '' && passwd.length <= MAX_PASSWD && passwd.isWellFormed()
}

export function badArg(text: string, name: string, info: Readonly<Record<string, unknown>> = {}): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', text, {info: {name, ...info}})
}

export function noSuchUser(iden: string): RegistryError {
  return new RegistryError('REG_NOT_FOUND', `No user with iden ${iden}.`, {telepath: 'NoSuchUser', info: {user: iden}})
}

export function noSuchRole(iden: string): RegistryError {
  return new RegistryError('REG_NOT_FOUND', `No role with iden ${iden}.`, {telepath: 'NoSuchRole', info: {role: iden}})
}

export function noSuchGate(iden: string): RegistryError {
  const text = `No auth gate found with iden: (${iden}).`
  return new RegistryError('REG_NOT_FOUND', text, {telepath: 'NoSuchAuthGate', info: {iden}})
}

/** `kind` names what is there already in Telepath's errors: `DupUserName`. */
export function duplicate(kind: string, text: string, info: Readonly<Record<string, unknown>>): RegistryError {
  return new RegistryError('REG_CONFLICT', text, {telepath: kind, info})
}

export function hitLimit(text: string): RegistryError {
  return new RegistryError('REG_CONFLICT', text, {telepath: 'HitLimit'})
}

/** Writes a text as Python shows it, for names that have no control characters: `'visi'`. */
export function quoted(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\')
  if (!text.includes("'")) return `'${escaped}'`
  return text.includes('"') ? `'${escaped.replaceAll("'", "\\'")}'` : `"${escaped}"`
}
