/** One row of the error table. */
export interface ErrorSpec {
  /** Exit status of the command that ends with this error. */
  readonly exit: number
  /** What the error means, for docs/errors.md. */
  readonly about: string
  /** Commands or steps for the operator, the most useful first. */
  readonly hints: readonly string[]
  /** Name that a Telepath peer gets for it when the error itself has none; `SynErr` unless given. */
  readonly telepath?: string
}

/** Every error that the software raises on purpose. Codes are API: adding one is minor, renaming one is major. */
export const ERRORS = {
  REG_USAGE: {
    exit: 2,
    about: 'The command line is not one that the command takes.',
    hints: ['registry help COMMAND'],
    telepath: 'BadArg',
  },
  REG_CONFIG_INVALID: {
    exit: 2,
    about: 'A value of the configuration is not allowed, or a key is unknown.',
    hints: ['registry config validate', 'registry config explain OPTION'],
    telepath: 'BadConfValu',
  },
  REG_BAD_REQUEST: {
    exit: 2,
    about: 'The registry refused a request because of its form or of a value in it.',
    hints: ['registry help service register'],
    telepath: 'BadArg',
  },
  REG_BAD_ANSWER: {
    exit: 1,
    about: 'What answered is not a service registry, or its answer is not understood.',
    hints: ['registry status --url zmq://HOST:PORT'],
    telepath: 'BadMesgFormat',
  },
  REG_NOT_FOUND: {
    exit: 3,
    about: 'The registry does not know what was asked for.',
    hints: ['registry service list'],
    telepath: 'NoSuchName',
  },
  REG_DENIED: {
    exit: 4,
    about: 'The registry does not allow this.',
    hints: ['registry config explain OPTION'],
    telepath: 'AuthDeny',
  },
  REG_CONFLICT: {
    exit: 5,
    about: 'Another entry stands in the way, for instance a live service of a unique type.',
    hints: ['registry service list'],
    telepath: 'BadState',
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
    telepath: 'IsReadOnly',
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
  REG_DISK_LOW: {
    exit: 5,
    about: 'The volume of the data directory has less free space than `limit:disk:free` asks for.',
    hints: ['free space on the file system of the data directory', 'registry config explain limit:disk:free'],
    telepath: 'LowSpace',
  },
  REG_BACKUP_INVALID: {
    exit: 8,
    about: 'This is no backup: it has no complete manifest, or is of something else.',
    hints: ['registry backup list DIR', 'make another one: registry livebackup, or registry backup SRC DST'],
    telepath: 'BadArg',
  },
  REG_BACKUP_DAMAGED: {
    exit: 8,
    about: 'A file of a backup is missing, or is not as its manifest says. Nothing was restored from it.',
    hints: ['registry backup verify BACKUP', 'registry backup list DIR'],
    telepath: 'BadDataValu',
  },
  REG_BACKUP_SEALED: {
    exit: 4,
    about: 'The backup is encrypted, and what was given does not open it.',
    hints: ['give the file with the identity: --identity FILE'],
    telepath: 'AuthDeny',
  },
  REG_BACKUP_RUNNING: {
    exit: 5,
    about: 'Another backup of this cell is being made; one is made at a time.',
    hints: ['ask again when it is done', 'registry status'],
    telepath: 'BackupAlreadyRunning',
  },
  REG_BACKUP_SOURCE: {
    exit: 2,
    about: 'What should be backed up is no directory of a cell, or what is there cannot be backed up.',
    hints: ['give the data directory of a stopped registry or Synapse service'],
    telepath: 'BadArg',
  },
  REG_CELL_RUNS: {
    exit: 5,
    about: 'The cell whose directory should be read or replaced runs, or may run.',
    hints: ['stop it first', 'registry livebackup URL'],
    telepath: 'BadState',
  },
  REG_HOOK_FAILED: {
    exit: 1,
    about:
      'A program that has to succeed failed: the script `preboot.sh` of `boothooks:dir` before the registry starts, or the `--hook` after a certificate was renewed.',
    hints: ['run it by hand', 'registry config explain boothooks:dir'],
  },
  REG_OFFSET_CULLED: {
    exit: 5,
    about: 'The entries asked for were trimmed from the change log.',
    hints: ['start from the oldest kept entry'],
  },
  REG_NOT_LEADER: {
    exit: 5,
    about: 'This member of the cell takes no changes now: another one leads, or is about to.',
    hints: ['registry status', 'ask the leader'],
    telepath: 'IsReadOnly',
  },
  REG_FENCED: {
    exit: 5,
    about: 'Another member took the lead while this one led: it takes no changes and answers nothing as a leader.',
    hints: ['registry rejoin DIR', 'registry status'],
    telepath: 'IsReadOnly',
  },
  REG_HISTORY_DIFFERS: {
    exit: 5,
    about: 'Two change logs of one cell went apart: each has entries that the other lacks. Nothing is merged.',
    hints: ['registry rejoin DIR', 'registry status --verify'],
    telepath: 'BadState',
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
    telepath: 'LinkErr',
  },
  REG_TIMED_OUT: {
    exit: 7,
    about: 'What was waited for did not happen in the given time.',
    hints: ['give a longer --timeout'],
    telepath: 'TimeOut',
  },
  REG_NOT_CONFIRMED: {
    exit: 7,
    about: 'The registry could not make the change durable in time. It may still happen, or may not.',
    hints: ['registry service list', 'ask again'],
    telepath: 'TimeOut',
  },
  REG_BUSY: {
    exit: 7,
    about: 'The registry has too many requests to take this one now.',
    hints: ['ask again, less often'],
    telepath: 'HitLimit',
  },
  REG_LINK_CLOSED: {
    exit: 6,
    about: 'The peer closed the connection before it answered.',
    hints: ['ask again', 'registry status URL'],
    telepath: 'LinkShutDown',
  },
  REG_CERT_INVALID: {
    exit: 4,
    about:
      'A certificate, key or request is not readable or not valid for this use; or that of the peer is not the expected one.',
    hints: ['registry cert list', 'registry cert check FILE'],
    telepath: 'BadCertVerify',
  },
  REG_CERT_MISSING: {
    exit: 3,
    about: 'There is no certificate, key or request of this name in the certificate directories.',
    hints: ['registry cert list'],
    telepath: 'NoSuchCert',
  },
  REG_FILE_EXISTS: {
    exit: 5,
    about: 'A file that was to be made is there already. Nothing was changed.',
    hints: ['give another name', 'replace it with --force, which keeps the old one as .bak'],
    telepath: 'DupFileName',
  },
  REG_READ_ONLY: {
    exit: 5,
    about: 'Changes are refused at present; the text says why. Nothing that was acknowledged is lost.',
    hints: ['registry status'],
    telepath: 'IsReadOnly',
  },
  REG_PEER_FAILED: {
    exit: 1,
    about: 'The service that was called answered with an error of its own; `info.errname` is its name there.',
    hints: ['look at the log of that service'],
  },
  REG_QUERY_FAILED: {
    exit: 1,
    about:
      'A Storm query ended with an error: it cannot be read, or what it asked for failed. `info.errname` is its name in Storm, `info.line` and `info.column` say where it stands.',
    hints: [],
  },
  REG_OUTPUT_FAILED: {
    exit: 1,
    about: 'The output of the command could not be written. What the command did stays done.',
    hints: ['free space on the file system that the output goes to'],
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
  /** The error's name in Telepath (`NoSuchUser`), where the table's is not exact enough, or the one that a peer sent. */
  readonly telepath?: string
  readonly cause?: unknown
}

/** Something that the world may do to us: bad input, a cut link, a full disk. Our own bugs are assertions instead. */
export class RegistryError extends Error {
  readonly code: ErrorCode
  readonly info: Readonly<Record<string, unknown>>
  readonly hints: readonly string[]
  /** The error's name in Telepath: `NoSuchUser`, `AuthDeny`, … */
  readonly telepath: string

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : {cause: options.cause})
    this.name = 'RegistryError'
    this.code = code
    this.info = options.info ?? {}
    this.hints = options.hints ?? ERRORS[code].hints
    this.telepath = options.telepath ?? this.spec.telepath ?? 'SynErr'
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
