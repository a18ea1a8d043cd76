/** One row of the error table. */
export interface ErrorSpec {
  /** Exit status of the command that ends with this error. */
  readonly exit: number
  /** What the error means, for docs/errors.md. */
  readonly about: string
  /** Commands or steps for the operator, the most useful first. */
  readonly hints: readonly string[]
}

/** Every error that the software raises on purpose. Codes are API: adding one is minor, renaming one is major. */
export const ERRORS = {
  REG_USAGE: {
    exit: 2,
    about: 'The command line is not one that the command takes.',
    hints: ['registry help COMMAND'],
  },
  REG_CONFIG_INVALID: {
    exit: 2,
    about: 'A value of the configuration is not allowed, or a key is unknown.',
    hints: ['registry config validate', 'registry config explain OPTION'],
  },
  REG_BAD_REQUEST: {
    exit: 2,
    about: 'The registry refused a request because of its form or of a value in it.',
    hints: ['registry help service register'],
  },
  REG_BAD_ANSWER: {
    exit: 1,
    about: 'What answered is not a service registry, or its answer is not understood.',
    hints: ['registry status --url zmq://HOST:PORT'],
  },
  REG_NOT_FOUND: {
    exit: 3,
    about: 'The registry does not know what was asked for.',
    hints: ['registry service list'],
  },
  REG_DENIED: {
    exit: 4,
    about: 'The registry does not allow this.',
    hints: ['registry config explain OPTION'],
  },
  REG_CONFLICT: {
    exit: 5,
    about: 'Another entry stands in the way, for instance a live service of a unique type.',
    hints: ['registry service list'],
  },
  REG_DIR_LOCKED: {
    exit: 5,
    about: 'Another registry runs on this data directory.',
    hints: ['registry status', 'stop the process named above, or give another directory'],
  },
  REG_DIR_UNUSABLE: {
    exit: 2,
    about: 'The data directory cannot be made, read or written, or a file in it is not what it should be.',
    hints: ['give another directory', 'check that it belongs to the user that runs the registry'],
  },
  REG_STORE_FAILED: {
    exit: 1,
    about:
      'The database cannot be written or read (full, locked, or an I/O error). Nothing that was acknowledged is lost.',
    hints: ['registry status', 'free space on the file system of the data directory'],
  },
  REG_STORE_DAMAGED: {
    exit: 1,
    about: 'The database or its change log is damaged.',
    hints: ['restore the data directory from a backup'],
  },
  REG_STORE_NEWER: {
    exit: 5,
    about: 'The database was written by a newer version, or is not a registry database.',
    hints: ['install the version that wrote it', 'give another data directory'],
  },
  REG_OFFSET_CULLED: {
    exit: 5,
    about: 'The entries asked for were trimmed from the change log.',
    hints: ['start from the oldest kept entry'],
  },
  REG_LISTEN_FAILED: {
    exit: 5,
    about: 'A listener could not be opened: the port is taken, or the address is not one of this machine.',
    hints: ['registry status', 'registry serve --zmq-req-port 0 --zmq-pub-port 0 --zmq-hb-port 0'],
  },
  REG_UNREACHABLE: {
    exit: 6,
    about: 'No registry answered at the address.',
    hints: ['registry status --url zmq://HOST:PORT', 'registry serve'],
  },
  REG_TIMED_OUT: {
    exit: 7,
    about: 'What was waited for did not happen in the given time.',
    hints: ['give a longer --timeout'],
  },
  REG_NOT_CONFIRMED: {
    exit: 7,
    about: 'The registry could not make the change durable in time. It may still happen, or may not.',
    hints: ['registry service list', 'ask again'],
  },
  REG_BUSY: {
    exit: 7,
    about: 'The registry has too many requests to take this one now.',
    hints: ['ask again, less often'],
  },
  REG_INTERNAL: {
    exit: 1,
    about: 'The program itself failed; this is a mistake in it, not in what was asked.',
    hints: ['run the command again with REGISTRY_DEBUG=1 and report what it prints'],
  },
  REG_CANCELLED: {
    exit: 130,
    about: 'The command was cancelled.',
    hints: [],
  },
} as const satisfies Record<string, ErrorSpec>

export type ErrorCode = keyof typeof ERRORS

export interface ErrorOptions {
  /** Facts about the case, for `--json` and logs. */
  readonly info?: Readonly<Record<string, unknown>>
  /** Hints for this very case; they replace those of the table. */
  readonly hints?: readonly string[]
  readonly cause?: unknown
}

/** Something that the world may do to us: bad input, a cut link, a full disk. Our own bugs are assertions instead. */
export class RegistryError extends Error {
  readonly code: ErrorCode
  readonly info: Readonly<Record<string, unknown>>
  readonly hints: readonly string[]

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : {cause: options.cause})
    this.name = 'RegistryError'
    this.code = code
    this.info = options.info ?? {}
    this.hints = options.hints ?? ERRORS[code].hints
  }

  get spec(): ErrorSpec {
    return ERRORS[this.code]
  }
}

/** Gives the text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** Gives the system's code of a failed call (`ENOSPC`, `EADDRINUSE`), or undefined. */
export function systemCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
}
