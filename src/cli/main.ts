import {existsSync} from 'node:fs'
import type {Config} from '@oclif/core'
import {RegistryError} from '../base/errors.ts'
import {readEnvironment} from '../config/environment.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'
import {exitOf, printError, toRegistryError} from './error-report.ts'
import {loadCliConfig} from './load-config.ts'
import {misspeltSubcommand, type Request, readRequest, suggestCommand, wantsJson} from './words.ts'

export interface MainOptions {
  /** Folder with package.json. */
  readonly root: string
  /** Run the commands of src instead of those of dist. */
  readonly fromSource: boolean
}

/** Runs one command line. Never throws; the outcome is on stdout, on stderr and in the exit status. */
export async function main(argv: readonly string[], options: MainOptions): Promise<void> {
  watchOutput()
  hideSecrets(argv)
  try {
    await runRequest(argv, await loadCliConfig(options.root, options.fromSource))
  } catch (thrown) {
    const error = toRegistryError(thrown, '')
    process.exitCode = exitOf(error)
    printError(error, {json: wantsJson(argv), withStack: readEnvironment().isDebug})
  }
}

async function runRequest(argv: readonly string[], config: Config): Promise<void> {
  const request = readRequest(argv, config)
  switch (request.kind) {
    case 'command':
      assertMeant(request, config)
      await config.runCommand(request.id, [...request.argv])
      break
    case 'help':
      await config.runCommand('help', [
        ...request.words.filter((word) => word !== 'help'),
        ...(request.json ? ['--json'] : []),
      ])
      break
    case 'unknown':
      throw unknownCommand(request.words, config)
  }
}

/** `registry backup vrify DIR` is no backup of a directory `vrify`, unless there is one. */
function assertMeant({id, argv}: Extract<Request, {kind: 'command'}>, config: Config): void {
  const suggestion = misspeltSubcommand(id, argv, config)
  const [word = ''] = argv
  if (suggestion === undefined || existsSync(word)) return
  const given = `${id.replaceAll(':', ' ')} ${word}`
  throw new RegistryError('REG_USAGE', `"${given}" is not a registry command, and there is no file ${word}`, {
    hints: [`registry ${suggestion}`, `registry help ${id.replaceAll(':', ' ')}`],
    info: {given, suggestion},
  })
}

function unknownCommand(words: readonly string[], config: Config): RegistryError {
  const given = words.join(' ')
  if (given.startsWith('-')) {
    return new RegistryError('REG_USAGE', `${given} stands before the command`, {
      hints: ['registry COMMAND [FLAGS]', 'registry help'],
      info: {given},
    })
  }
  const suggestion = suggestCommand(words, config)
  return new RegistryError('REG_USAGE', `"${given}" is not a registry command`, {
    hints: [...(suggestion === undefined ? [] : [`registry ${suggestion}`]), 'registry help'],
    info: {given, ...(suggestion === undefined ? {} : {suggestion})},
  })
}

/** What makes a URL a one-time URL, and good for whoever has it. */
const ONCE_IDEN = /(?<=^\w+:\/\/[^/]+\/)[0-9a-f]{32}(?=\?|$)/

/**
 * Takes passwords in URLs, and one-time URLs, from what other users of the machine see of this process. They saw them at its start: REGISTRY_URL, and
 * the standard input, are better places.
 */
function hideSecrets(argv: readonly string[]): void {
  const shown = argv.map((word) => sanitizeUrl(word).replace(ONCE_IDEN, '…'))
  if (shown.some((word, index) => word !== argv[index])) process.title = ['registry', ...shown].join(' ')
}

/**
 * A reader that went away (`registry … | head -1`) is no error; without a listener Node would print a stack and fail. What else keeps the results
 * from being written is one, and ends the command at once: the listener of oclif, behind this one, throws. Where stderr fails, nothing can
 * be said.
 */
function watchOutput(): void {
  process.stdout.prependListener('error', (cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EPIPE') return
    const text = `the output cannot be written: ${cause.code ?? cause.message}`
    const error = new RegistryError('REG_OUTPUT_FAILED', text, {cause})
    printError(error, {json: false, withStack: false}) // on stderr: the other is the one that fails
    process.exit(exitOf(error))
  })
  process.stderr.on('error', () => undefined)
}
