/**
 * THE table of options. What is known about an option stands in its row and nowhere else: the environment name, the flag of `serve`, help,
 * docs/config.md, the JSON schema and the error texts are derived. The file imports nothing heavy, because the flags are needed for help.
 *
 * Rows are of two kinds. `live` options do something. `peer-only` options mean something to the peer's implementation only: they are taken, and the
 * reason why nothing happens is said once at start.
 */

import type {ObjectShape} from './objects.ts'

/** What values an option takes. */
export type OptionType =
  | {readonly kind: 'boolean'; readonly digits?: true}
  | {
      readonly kind: 'integer'
      readonly min: number
      readonly max: number
      readonly unit: string
      readonly nullable?: true
    }
  | {readonly kind: 'port'}
  | {readonly kind: 'duration'; readonly minMs: number; readonly maxMs: number}
  /** A duration or `never`, which is null in the conf. */
  | {readonly kind: 'life'; readonly minMs: number; readonly maxMs: number}
  | {readonly kind: 'choice'; readonly choices: readonly string[]}
  | {readonly kind: 'level'}
  | {readonly kind: 'address'}
  /** A text of one line, or null for none. */
  | {readonly kind: 'text'; readonly form: TextForm}
  /** A URL or a list of URLs, or null for none; a list in the conf. */
  /** `ofMember`: other members of the cell are there, who are known by their certificates. */
  | {readonly kind: 'urls'; readonly withPasswd?: true; readonly ofMember?: true}
  /** An object that `objects.ts` checks, or null for none. */
  | {readonly kind: 'object'; readonly shape: ObjectShape}

/** What a text has to look like; `schema.ts` has the patterns. */
export type TextForm =
  | 'any'
  | 'network'
  | 'host name'
  | 'certificate name'
  | 'guid'
  | 'path'
  | 'listen url'
  | 'once url'
  | 'user name'

/** Names of log levels, the most talkative first. */
export const LOG_LEVELS = ['debug', 'info', 'warning', 'error', 'critical'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

interface CommonRow {
  /** One sentence. */
  readonly about: string
  /** A value as it stands in cell.yaml. */
  readonly example: string
}

interface LiveRow extends CommonRow {
  readonly kind: 'live'
  readonly type: OptionType
  /** As it would stand in cell.yaml. */
  readonly default: string
  /** True when SIGHUP applies a changed value; else the registry must be restarted. */
  readonly reload: boolean
  /** Variable that the peer reads as well; weaker than the derived ones. */
  readonly variable?: string
  /** Name of the flag where it is not the derived one. */
  readonly flag?: string
  /** True for what must not be shown, nor given on a command line, where others can read it. */
  readonly secret?: true
  /** What to use instead. */
  readonly deprecated?: string
}

/** The types of options that have no effect, in words of the peer's documentation. */
type ForeignType = 'boolean' | 'integer' | 'text' | 'text or list' | 'object'

interface PeerOnlyRow extends CommonRow {
  readonly kind: 'peer-only'
  readonly type: ForeignType
  /** Why nothing happens. */
  readonly why: string
}

export type OptionRow = LiveRow | PeerOnlyRow

const SECOND_MS = 1000
const DAY_MS = 86_400_000

const port = {kind: 'port'} as const
const boolean = {kind: 'boolean'} as const
function text<const F extends TextForm>(form: F) {
  return {kind: 'text', form} as const
}
const messages = {kind: 'integer', min: 1, max: 10_000_000, unit: 'messages'} as const

type Extras = Partial<Pick<LiveRow, 'reload' | 'variable' | 'flag' | 'secret' | 'deprecated'>>

function live<const T extends OptionType>(
  type: T,
  byDefault: string,
  about: string,
  example: string,
  extras: Extras = {},
) {
  return {kind: 'live', type, default: byDefault, about, example, reload: false, ...extras} as const
}

function peerOnly(type: ForeignType, about: string, example: string, why: string): PeerOnlyRow {
  return {kind: 'peer-only', type, about, example, why}
}

const SECRET = {secret: true} as const
const PYTHON_ONLY = 'it names code of the Python implementation'

export const OPTIONS = {
  bind: live({kind: 'address'}, '127.0.0.1', 'Address that the ZeroMQ listeners use.', '192.0.2.10'),
  'zmq:req:port': live(
    port,
    '5556',
    'Port of ZeroMQ requests; 0 takes a free one, null switches the listener off.',
    '4242',
  ),
  'zmq:pub:port': live(
    port,
    '5557',
    'Port of ZeroMQ events; 0 takes a free one, null switches the listener off.',
    '4243',
  ),
  'zmq:hb:port': live(
    port,
    '5558',
    'Port of ZeroMQ heartbeats; 0 takes a free one, null switches the listener off.',
    '4244',
  ),
  'zmq:rep:port': live(
    port,
    'null',
    'Port of ZeroMQ requests for clients of CGSE 0.10 to 0.14, which want answers marked REP; null is off.',
    '5559',
  ),
  'zmq:types:unique': live(boolean, 'false', 'Only one live service of each type, as newer CGSE releases do.', 'true'),
  'zmq:allow:plain': live(boolean, 'false', 'Allow ZeroMQ listeners without encryption off loopback.', 'true'),
  'zmq:allow:terminate': live(
    boolean,
    'false',
    'Honour the terminate action: any client may then stop the registry.',
    'true',
    {
      reload: true,
    },
  ),
  'zmq:reply:within': live(
    // Clients of the peer (cgse-core 0.25.11) give up after 500 ms, and take a late reply as the answer to their next request.
    {kind: 'duration', minMs: 10, maxMs: 490},
    '400ms',
    'Latest moment of a reply; what is not on disk by then is answered as not confirmed.',
    '250ms',
    {reload: true},
  ),
  'zmq:rate': live(
    {kind: 'integer', min: 1, max: 10_000_000, unit: 'messages per second'},
    '50000',
    'Messages taken per second from one connection; the excess is answered with an error.',
    '5000',
    {reload: true},
  ),
  'zmq:hwm': live(messages, '10000', 'Messages kept for a client that does not read its replies.', '2000'),
  'zmq:pub:hwm': live(
    messages,
    '10000',
    'Events kept for a subscriber that does not read; it loses what is beyond.',
    '2000',
  ),
  'discover:strategy': live(
    {kind: 'choice', choices: ['random', 'round-robin', 'least-recent']},
    'random',
    'How discover picks one of several instances.',
    'round-robin',
    {reload: true},
  ),
  'lease:grace': live(
    {kind: 'duration', minMs: 0, maxMs: 30 * DAY_MS},
    '10s',
    'How long an instance that ran out stays listed as critical, and can come back, before it is removed.',
    '1m',
    {reload: true},
  ),
  'cleanup:interval': live(
    {kind: 'duration', minMs: SECOND_MS, maxMs: DAY_MS},
    '10s',
    'Time between full passes over all leases, which repair what a clock step or a lost timer missed.',
    '30s',
    {reload: true},
  ),
  backend: live(
    {kind: 'choice', choices: ['sqlite', 'memory']},
    'sqlite',
    'Where state lives; memory keeps nothing over a restart.',
    'memory',
  ),
  'log:level': live({kind: 'level'}, 'info', 'Least severe messages that are logged.', 'debug', {
    reload: true,
    variable: 'SYN_LOG_LEVEL',
  }),
  'log:structured': live(
    {kind: 'boolean', digits: true},
    'false',
    'Log one JSON object per line instead of plain lines.',
    'true',
    {variable: 'SYN_LOG_STRUCT', flag: 'structured-logging'},
  ),

  'dns:name': live(
    text('host name'),
    'null',
    'Public DNS name of this service. With aha:network, it is an AHA: certificates, listeners on all addresses, and provisioning.',
    'aha.example.net',
  ),
  'aha:network': live(
    text('network'),
    'null',
    'Network of this service; a client certificate of NAME@network is the local user NAME.',
    'prod.example.net',
  ),
  'aha:name': live(
    text('network'),
    'null',
    'Name of this service in its network, which it tells its clients. With aha:urls or provision:listen, and without dns:name, it is the AHA of that name.',
    '00.aha',
  ),
  'aha:leader': live(
    text('network'),
    'null',
    'Alias under which this service registers as well, while it leads.',
    'registry',
  ),
  'aha:user': live(
    text('user name'),
    'null',
    'User that this service is at other services, root without it; the same user of other services is an administrator here.',
    'registry',
  ),
  'aha:admin': live(
    text('certificate name'),
    'null',
    'Name in a client certificate whose owner is an administrator here, and of every service that is provisioned.',
    'root@prod.example.net',
  ),
  'aha:registry': live(
    {kind: 'urls', withPasswd: true},
    'null',
    'URLs of the AHA servers at which this service registers, as aha:name in aha:network; kept up to date by what they say.',
    'ssl://aha.example.net?certname=root@example.net',
    SECRET,
  ),
  'aha:urls': live({kind: 'urls'}, 'null', 'Fixed answer to a question for the AHA servers.', 'ssl://aha.example.net', {
    deprecated: 'dns:name',
  }),
  'aha:provision': live(
    {kind: 'urls'},
    'null',
    'One-time URL of an AHA, or several of which the first that works counts: brings certificates and configuration at the first start with it.',
    'ssl://aha.example.net:27272/8ace7effa8150dbea73a62c9d99541fd?certhash=5c3ccb28',
    SECRET,
  ),
  'aha:promotable': live(
    boolean,
    'true',
    'Tells the AHA whether a demotion may pick this service as the new leader.',
    'false',
  ),
  'leader:confirm': live(
    {kind: 'duration', minMs: 0, maxMs: DAY_MS},
    '10s',
    'How long a leader that starts, or lost its last mirror, asks the other members whether one of them leads before it takes changes without an answer.',
    '30s',
  ),
  'leader:alone': live(
    boolean,
    'false',
    'Lead without asking the other members first: for the last one that is left.',
    'true',
    {flag: 'alone'},
  ),
  'aha:svcinfo': live(
    {kind: 'object', shape: 'svcinfo'},
    'null',
    'What this service registers at AHA instead of what it finds out of itself, for instance behind a proxy.',
    '{urlinfo: {scheme: ssl, host: registry.example.net, port: 27492, hostname: 00.registry.example.net}}',
  ),
  'bridge:zmq:to:aha': live(boolean, 'false', 'Show ZeroMQ instances in AHA, as NAME.zmq.NETWORK.', 'true'),
  'bridge:aha:to:zmq': live(boolean, 'false', 'Show services of AHA that are online to ZeroMQ clients.', 'true'),
  'dmon:listen': live(
    text('listen url'),
    'null',
    'URL of the Telepath listener beside the UNIX socket; ca=NAME in it asks for client certificates of that CA. An AHA has ssl://0.0.0.0:27492 unless told otherwise.',
    'ssl://0.0.0.0:27492?hostname=aha.example.net&ca=example.net',
    {flag: 'telepath', variable: 'SYN_AHA_TELEPATH'},
  ),
  'telepath:name': live(
    text('user name'),
    'null',
    'Another name that Telepath clients may ask for this service by, besides *.',
    'registry',
    {flag: 'name', variable: 'SYN_AHA_NAME'},
  ),
  'telepath:allow:plain': live(boolean, 'false', 'Allow Telepath listeners without encryption off loopback.', 'true'),
  'provision:listen': live(
    text('listen url'),
    'null',
    'URL of the listener for one-time URLs; an AHA has ssl://0.0.0.0:27272 unless told otherwise.',
    'ssl://0.0.0.0:27272?hostname=aha.example.net',
  ),
  'provision:expires': live(
    {kind: 'life', minMs: SECOND_MS, maxMs: 3650 * DAY_MS},
    '24h',
    'Life of one-time URLs, or never.',
    '7d',
  ),
  'provision:service:root': live(
    boolean,
    'true',
    'Whether a service may be provisioned as root, who may do everything everywhere; the peers make every service root.',
    'false',
  ),
  'https:bind': live(
    {kind: 'address'},
    '127.0.0.1',
    'Address that the HTTPS listener uses; 0.0.0.0 unless told otherwise where dns:name is set.',
    '192.0.2.10',
  ),
  'https:port': live(port, '4443', 'Port of the HTTPS listener; 0 takes a free one, null switches it off.', '8443', {
    flag: 'https',
    variable: 'SYN_AHA_HTTPS',
  }),
  'https:headers': live(
    {kind: 'object', shape: 'headers'},
    'null',
    'Headers added to every HTTPS answer.',
    '{Referrer-Policy: no-referrer}',
  ),
  'https:parse:proxy:remoteip': live(
    boolean,
    'false',
    'Take the address of a caller from X-Forwarded-For or X-Real-IP: only behind a proxy that sets them.',
    'true',
  ),
  mirror: live(
    {kind: 'urls', withPasswd: true, ofMember: true},
    'null',
    'URL of the leader that this service follows, or several of which one leads to it. Once the change log says who leads, that counts; the URL stays one where the leader is looked for.',
    'ssl://01.aha.example.net',
    SECRET,
  ),
  clone: live(
    text('once url'),
    'null',
    'One-time URL of a registry that is an AHA, from registry clone: a new data directory becomes a copy of it that follows it, at the first start with it.',
    'ssl://aha.example.net:27272/4c2f5b18e0d34a7f9a6be1c7d08f2a35?certhash=5c3ccb28',
    SECRET,
  ),
  'backup:dir': live(
    text('path'),
    'null',
    'Directory that live backups go to; null for backups in the data directory.',
    '/srv/backups',
  ),
  'backup:max:age': live(
    {kind: 'life', minMs: SECOND_MS, maxMs: 3650 * DAY_MS},
    'never',
    'Age of the last backup from which on the health is degraded; never makes no claim.',
    '1d',
    {reload: true},
  ),
  'onboot:optimize': live(
    boolean,
    'false',
    'Write the database anew at the start, before it is opened, when much of it is empty and there is room beside it; the log says what was won, or why not.',
    'true',
  ),
  'limit:disk:free': live(
    {kind: 'integer', min: 0, max: 100, unit: 'percent', nullable: true},
    '5',
    'Percent of the file system of the data directory that must stay free: with less there is no start, and changes are refused.',
    '10',
    {reload: true},
  ),
  'auth:passwd': live(text('any'), 'null', 'Password that root gets at each start.', 'a-long-passphrase', {
    secret: true,
  }),
  'auth:anon': live(text('user name'), 'null', 'User that Telepath callers without a login are.', 'guest'),
  'auth:passwd:policy': live(
    {kind: 'object', shape: 'passwd policy'},
    'null',
    'Rules that passwords must follow, and the attempts after which a user is locked.',
    '{attempts: 5, complexity: {length: 12}}',
  ),
  'max:users': live(
    {kind: 'integer', min: 0, max: 1_000_000, unit: 'users'},
    '0',
    'Largest number of users besides root that are neither locked nor archived; 0 is no limit.',
    '100',
  ),
  inaugural: live(
    {kind: 'object', shape: 'inaugural'},
    'null',
    'Users and roles that are made at the first start of a new data directory.',
    '{roles: [{name: readers, rules: [[true, [health]]]}]}',
  ),
  'cell:guid': live(
    text('guid'),
    'null',
    'Identity of a new data directory; one that has another is refused.',
    '20ed1a3500a8122ddbc34c192ba60f0b',
  ),
  safemode: live(
    boolean,
    'false',
    'Only show what is in the data directory, a restored one for instance: take no changes, remove nothing, call neither other members nor AHA, and run no boot hooks.',
    'true',
  ),
  'boothooks:dir': live(
    text('path'),
    'null',
    'Directory, not inside the data directory, with preboot.sh (run before the start) and concurrent.sh (run beside the registry).',
    '/etc/registry/boothooks',
  ),
  'health:sysctl:checks': live(
    boolean,
    'true',
    'Warn at start about limits of the kernel that hold the registry back, with the values to set.',
    'false',
  ),

  'nexslog:en': peerOnly('boolean', 'Keep the change log.', 'true', 'the change log is always kept'),
  'nexslog:async': peerOnly('boolean', 'Map the change log asynchronously.', 'true', 'the peer ignores it as well'),
  'cell:ctor': peerOnly('text', 'Class of the cell.', 'synapse.lib.aha.AhaCell', PYTHON_ONLY),
  'auth:ctor': peerOnly('text', 'Class of the user database.', 'synapse.lib.auth.Auth', PYTHON_ONLY),
  'auth:conf': peerOnly('object', 'Settings of that class.', '{}', PYTHON_ONLY),
  _log_conf: peerOnly(
    'object',
    'Set by the peer for its own processes.',
    '{}',
    'the peer hands it to its own processes',
  ),
} as const satisfies Record<string, OptionRow>

export type OptionName = keyof typeof OPTIONS
export type LiveName = {[K in OptionName]: (typeof OPTIONS)[K]['kind'] extends 'live' ? K : never}[OptionName]

type ValueOf<T> = T extends {kind: 'boolean'}
  ? boolean
  : T extends {kind: 'integer'; unit: string; nullable: true}
    ? number | null
    : T extends {kind: 'integer'; unit: string}
      ? number
      : T extends {kind: 'port'}
        ? number | null
        : T extends {kind: 'duration'}
          ? number
          : T extends {kind: 'life'}
            ? number | null
            : T extends {kind: 'urls'}
              ? readonly string[] | null
              : T extends {kind: 'choice'; choices: readonly (infer C)[]}
                ? C
                : T extends {kind: 'level'}
                  ? LogLevel
                  : T extends {kind: 'address'}
                    ? string
                    : T extends {kind: 'text'}
                      ? string | null
                      : T extends {kind: 'object'}
                        ? Readonly<Record<string, unknown>> | null
                        : never

/** The values in force. Durations are milliseconds, null for never; a port is null where its listener is off. */
export type Conf = {readonly [K in LiveName]: ValueOf<(typeof OPTIONS)[K]['type']>}

export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[]

/** Tells whether `name` is an option; names such as `constructor` are not. */
export function isOptionName(name: string): name is OptionName {
  return Object.hasOwn(OPTIONS, name)
}

/** Gives the row of an option without the narrow type that the table has. */
export function rowOf(name: OptionName): OptionRow {
  return OPTIONS[name]
}

/** Prefixes of variables, the strongest first; the last two let an AHA deployment keep its environment. */
export const PREFIXES = ['SYN_REGISTRY_', 'SYN_AHA_', 'SYN_AHACELL_'] as const

/** Options that the peer does not take from its environment: it sets them itself. */
const NOT_BY_VARIABLE: ReadonlySet<OptionName> = new Set([
  'cell:guid',
  'cell:ctor',
  'auth:ctor',
  'auth:conf',
  '_log_conf',
])

/** Gives the variables that set an option, the strongest first; none for what the peer does not take from its environment. */
export function variablesOf(name: OptionName): readonly string[] {
  if (NOT_BY_VARIABLE.has(name)) return []
  const row = rowOf(name)
  const suffix = name.toUpperCase().replaceAll(':', '_')
  const own = PREFIXES.map((prefix) => `${prefix}${suffix}`)
  return row.kind === 'live' && row.variable !== undefined ? [...own, row.variable] : own
}

/** A flag of `registry serve`, as plain data. */
export interface ServeFlag {
  readonly option: OptionName
  readonly name: string
  /** A boolean flag has a `--no-` form as well; the other takes a text. */
  readonly type: 'boolean' | 'text'
  readonly summary: string
  /** As it would be typed. */
  readonly defaultText: string
  /** True for what this version does not act on: taken, so that the answer can say why, but not in the help. */
  readonly hidden: boolean
}

/** Gives the flag of an option; undefined for those that cannot be said in one word, and those the peer sets itself. */
export function flagOf(name: OptionName): ServeFlag | undefined {
  const row = rowOf(name)
  if (NOT_BY_VARIABLE.has(name) || isObjectRow(row) || isSecretRow(row)) return undefined
  const isBoolean = row.kind === 'live' ? row.type.kind === 'boolean' : row.type === 'boolean'
  return {
    option: name,
    name: (row.kind === 'live' && row.flag) || name.replaceAll(':', '-'),
    type: isBoolean ? 'boolean' : 'text',
    summary: row.about,
    defaultText: row.kind === 'live' ? row.default : 'null',
    hidden: row.kind !== 'live',
  }
}

/** Tells whether values of an option must not be shown. */
export function isSecretRow(row: OptionRow): boolean {
  return row.kind !== 'peer-only' && row.secret === true
}

function isObjectRow(row: OptionRow): boolean {
  return row.kind === 'live' ? row.type.kind === 'object' : row.type === 'object'
}

/** Gives all flags of `registry serve` in the order of the table. */
export function serveFlags(): readonly ServeFlag[] {
  return OPTION_NAMES.map(flagOf).filter((flag) => flag !== undefined)
}
