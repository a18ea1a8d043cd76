/** Errors as HTTPS tells them: `{"status":"err","code":…,"mesg":…}` with the status that fits. */
import {type ErrorCode, RegistryError} from '../base/errors.ts'
import type {HttpsAnswer} from '../wire/https/messages.ts'
import {errorAnswer} from '../wire/https/refusals.ts'

/** By what an error is in Telepath; the others by their code. */
const STATUS_BY_NAME: Readonly<Record<string, number>> = {
  NotAuthenticated: 401,
  AuthDeny: 403,
  NoSuchUser: 404,
  NoSuchRole: 404,
  NoSuchAuthGate: 404,
}

const STATUS_BY_CODE: Readonly<Partial<Record<ErrorCode, number>>> = {
  REG_BAD_REQUEST: 400,
  REG_CONFLICT: 400,
  REG_NOT_FOUND: 404,
  REG_DENIED: 403,
  REG_BUSY: 429,
  REG_READ_ONLY: 503,
  REG_NOT_LEADER: 503,
  REG_FENCED: 503,
  REG_UNREACHABLE: 503,
  REG_STORE_FAILED: 503,
  REG_NOT_CONFIRMED: 503,
}

/**
 * Makes the answer to an error. What is unforeseen is a 500 without its text, which may hold anything; `onUnforeseen` gets it for the log.
 */
export function answerToError(error: unknown, onUnforeseen: (error: unknown) => void): HttpsAnswer {
  const status = error instanceof RegistryError ? statusOf(error) : undefined
  if (!(error instanceof RegistryError) || status === undefined) {
    onUnforeseen(error)
    return errorAnswer(500, 'SynErr', 'The request failed; the log of the server says why.')
  }
  const headers = headersOf(error)
  return {...errorAnswer(status, error.telepath, error.message), ...(headers === undefined ? {} : {headers})}
}

/** A request without a login that needs one. All reasons look the same: who failed to log in does not learn why. */
export function notAuthenticated(): RegistryError {
  return new RegistryError('REG_DENIED', 'The session is not logged in.', {telepath: 'NotAuthenticated'})
}

/** A login that failed, for whatever reason. */
export function badLogin(): RegistryError {
  return new RegistryError('REG_DENIED', 'Incorrect user name or password.')
}

function statusOf(error: RegistryError): number | undefined {
  return STATUS_BY_NAME[error.telepath] ?? STATUS_BY_CODE[error.code]
}

function headersOf({telepath, info}: RegistryError): Readonly<Record<string, string>> | undefined {
  if (telepath === 'NotAuthenticated') return {'www-authenticate': 'Basic realm=synapse'}
  const {waitS} = info
  return typeof waitS === 'number' ? {'retry-after': String(waitS)} : undefined
}
