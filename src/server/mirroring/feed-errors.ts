import {ERRORS, type ErrorCode, RegistryError} from '../../base/errors.ts'

/** Puts the code of an error among its facts: Telepath has names of its own, of which several codes share one. */
export function withCode(error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error
  const {code, message, info, hints, telepath} = error
  return new RegistryError(code, message, {info: {...info, code}, hints, telepath, cause: error})
}

/** Gives the code that an error had where it was thrown, perhaps at another member. */
export function codeOf(error: unknown): ErrorCode | undefined {
  if (!(error instanceof RegistryError)) return undefined
  const told = error.info['code']
  return typeof told === 'string' && isCode(told) ? told : error.code
}

function isCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text)
}
