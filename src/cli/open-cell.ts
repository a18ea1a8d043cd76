import {dirname} from 'node:path'
import {RegistryError} from '../base/errors.ts'
import {type TeleEnv, withTeleEnv} from '../client/telepath/tele-env.ts'
import type {TelepathProxy} from '../wire/telepath/caller.ts'
import {parseUrl, placeOf, sanitizeUrl} from '../wire/telepath/url.ts'

export interface OpenCellOptions {
  /** Longest wait for the session, and for each answer. */
  readonly timeoutMs?: number | undefined
  readonly isExact?: boolean | undefined
  readonly signal: AbortSignal
  /** Hears what is wrong with a file that is ignored, and why AHA servers cannot be reached. */
  readonly onWarning: (text: string) => void
}

/** A cell, and the one of several URLs that led to it. */
export interface OpenedCell {
  readonly url: string
  readonly cell: TelepathProxy
}

/**
 * Opens a session with the certificates and AHA servers of the user, at the first of these URLs where somebody answers. Throws as `TeleEnv.open`, why
 * the last one failed. A command makes one call at a time.
 */
export async function openCell(
  urls: readonly [string, ...string[]],
  {timeoutMs, isExact, signal, onWarning}: OpenCellOptions,
): Promise<OpenedCell> {
  await using env = await withTeleEnv({onWarning: saidOnce(onWarning)})
  let failure: unknown
  let last = urls[0]
  for (const url of urls) {
    try {
      const cell = await env.open(url, {connectMs: timeoutMs, timeoutMs, isExact, signal, spareLinks: 0})
      if (url !== urls[0]) onWarning(`cell: ${sanitizeUrl(url)} answers`)
      return {url, cell}
    } catch (error) {
      signal.throwIfAborted()
      failure = error
      last = url
    }
  }
  throw failure instanceof RegistryError ? withHints(failure, last) : failure
}

/**
 * Loads the certificates and AHA servers to reach the other services of the cell at a URL: those of the user, and of a cell on this machine its own.
 * What is wrong is said once.
 */
export async function envFor(url: string, onWarning: (text: string) => void): Promise<TeleEnv> {
  const dir = directoryOf(url)
  return await withTeleEnv({onWarning: saidOnce(onWarning), ...(dir === undefined ? {} : {serviceDir: dir})})
}

/** A client that waits for its AHA tries again and again, each time with the same result. */
function saidOnce(say: (text: string) => void): (text: string) => void {
  const said = new Set<string>()
  return (text) => {
    if (!said.has(text)) say(text)
    said.add(text)
  }
}

/** Where the cell of a local URL lives; undefined for others, and for the name of one. */
function directoryOf(url: string): string | undefined {
  if (!/^(cell|unix):/i.test(url)) return undefined
  const place = placeOf(parseUrl(url))
  return place.kind === 'unix' ? dirname(place.path) : undefined
}

/** What to do when the cell does not let the caller in; other errors say it themselves. */
function withHints(error: RegistryError, url: string): RegistryError {
  const {code, message, info, telepath, cause} = error
  // Who was refused by each AHA until the time was over.
  if (telepath === 'TimeOut' && cause instanceof RegistryError && isRefusal(cause)) {
    const hint = `on the machine of the AHA: ${commandFor(cause)} --url cell://DIR`
    return new RegistryError(code, message, {hints: [hint], info, telepath, cause})
  }
  if (!isRefusal(error)) return error
  const command = commandFor(error)
  // Who asked by a name of AHA tells an administrator that name; who is at the machine of the cell is one.
  const byName = url.toLowerCase().startsWith('aha:')
    ? [`an administrator of it: ${command} --url ${sanitizeUrl(url)}`]
    : []
  const hints = [...byName, `on its machine: ${command} --url cell://DIR`]
  return new RegistryError(code, message, {hints, info, telepath, cause})
}

const isRefusal = ({telepath}: RegistryError): boolean => telepath === 'NoSuchUser' || telepath === 'AuthDeny'

function commandFor({telepath, info}: RegistryError): string {
  return telepath === 'NoSuchUser' ? `registry user add ${userIn(info)}` : 'registry user list'
}

/** The cell says whom it does not know; only what is a name becomes part of a command. */
function userIn({username}: RegistryError['info']): string {
  return typeof username === 'string' && /^\w[\w.@+-]{0,127}$/.test(username) ? username : 'NAME'
}
