import {homedir} from 'node:os'
import {basename, dirname, join, resolve} from 'node:path'

/** The variables that the command line itself looks at. Options of the server are read by config/load.ts. */
export interface Environment {
  /** Registry to talk to. */
  readonly registryUrl: string | undefined
  /** Data directory of the server. */
  readonly registryDir: string | undefined
  /** Where a user's data lives; absolute. */
  readonly dataHome: string
  /** Where a user's certificates are; absolute. The peers' tools use the same. */
  readonly certDir: string
  /** Where an enrollment puts certificates; absolute. That of the other files of the same user unless `SYN_CERT_DIR` says another. */
  readonly enrollDir: string
  /** Where a user's `telepath.yaml` and `aliases.yaml` are; absolute. The peers' tools use the same. */
  readonly synDir: string
  /** Where a server fetches the backup that it begins with; an empty one is a mistake, and no wish for nothing. */
  readonly restoreUrl: string | undefined
  /** Show the stack of unexpected errors. */
  readonly isDebug: boolean
}

type Variables = Readonly<Record<string, string | undefined>>

/** Reads the variables of the process; empty ones count as not set, as the XDG specification has it. */
export function readEnvironment(variables: Variables = process.env): Environment {
  const value = (name: string) => variables[name] || undefined
  const home = value('HOME') ?? homedir()
  const given = value('XDG_DATA_HOME')
  const synDir = resolve(belowHome(value('SYN_DIR') ?? '~/.syn', home))
  const certDir = value('SYN_CERT_DIR')
  return {
    registryUrl: value('REGISTRY_URL'),
    registryDir: value('REGISTRY_DIR'),
    // The XDG specification: a relative path is invalid and to be ignored.
    dataHome: given?.startsWith('/') ? given : join(home, '.local', 'share'),
    synDir,
    certDir: resolve(belowHome(certDir ?? '~/.syn/certs', home)),
    enrollDir: certDir === undefined ? join(synDir, 'certs') : resolve(belowHome(certDir, home)),
    restoreUrl: variables['SYN_RESTORE_HTTPS_URL'],
    isDebug: value('DEBUG') !== undefined || value('REGISTRY_DEBUG') !== undefined,
  }
}

/** Reads a leading `~` as the peers do, for whom a shell may not have done it. */
function belowHome(path: string, home: string): string {
  return path === '~' || path.startsWith('~/') ? join(home, path.slice(1)) : path
}

/** Gives the data directory, absolute: the argument, else `REGISTRY_DIR`, else the place for a user's data. */
export function dataDirOf(argument: string | undefined, environment: Environment): string {
  return resolve(argument ?? environment.registryDir ?? join(environment.dataHome, 'registry'))
}

/** Gives what a user types to start the command line: the name when it is on the PATH, else the launcher's path as it was typed. */
export function launcherName(variables: Variables = process.env): string {
  const typed = variables['REGISTRY_LAUNCHER'] || 'registry'
  const isOnPath = (variables['PATH'] ?? '').split(':').includes(dirname(typed))
  return isOnPath ? basename(typed) : typed
}

/** What a program needs of the environment wherever it runs. */
const BARE = ['PATH', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ'] as const
/** Where some systems keep the programs of administrators, which are not on the PATH of everybody. */
const SYSTEM_PATHS = ['/usr/sbin', '/sbin'] as const

/** Gives the environment for a program that must know nothing of where it is started from: paths, language and time zone, and more. */
export function bareVariables(
  more: Readonly<Record<string, string>>,
  variables: Variables = process.env,
): NodeJS.ProcessEnv {
  const kept = BARE.flatMap((name) => (variables[name] === undefined ? [] : [[name, variables[name]] as const]))
  const path = [variables['PATH'] || '/usr/local/bin:/usr/bin:/bin', ...SYSTEM_PATHS].join(':')
  return {...Object.fromEntries(kept), PATH: path, ...more}
}

/** Gives the environment for a program that we start: ours, and more. */
export function variablesWith(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return {...process.env, ...more}
}
