/** Puts the table of options, and a configuration, into words: for the commands, docs/config.md and the JSON schema. */
import {originText, type Setting} from './layers.ts'
import {type CheckedConf, shortValue} from './load.ts'
import {
  flagOf,
  isSecretRow,
  OPTION_NAMES,
  type OptionName,
  type OptionRow,
  type OptionType,
  rowOf,
  variablesOf,
} from './options.ts'
import {describeType, jsonSchemaOf} from './schema.ts'

/** An option with the value in force. */
export interface OptionState {
  /** As it would stand in cell.yaml. */
  readonly value: unknown
  /** Kind of the origin. */
  readonly origin: string
  /** The origin in words. */
  readonly from: string
  /** Said of options that do nothing in this version. */
  readonly note?: string
}

/** Lists the options that somebody set, in the order of the table; with `all`, those that have their default as well. */
export function optionStates(checked: CheckedConf, all: boolean): Readonly<Record<string, OptionState>> {
  const states: Record<string, OptionState> = {}
  for (const name of OPTION_NAMES) {
    const set = checked.settings.findLast(({option}) => option === name)
    if (set !== undefined || (all && rowOf(name).kind === 'live')) states[name] = stateOf(name, set, checked)
  }
  return states
}

/** What there is to say about an option. */
export interface Explanation {
  readonly name: string
  readonly about: string
  /** Which values it takes. */
  readonly type: string
  /** Null where the option does nothing. */
  readonly default: string | null
  readonly example: string
  readonly variables: readonly string[]
  readonly flag: string | null
  /** What a changed value needs; or why the option does nothing. */
  readonly effect: string
  /** In force now; undefined when nobody sets an option that does nothing. */
  readonly state: OptionState | null
  /** Who sets it, the strongest first; only the first counts. */
  readonly settings: readonly {readonly value: string; readonly from: string}[]
  /** What is wrong with it now. */
  readonly problems: readonly string[]
}

/** Explains one option with regard to a configuration, which may have mistakes. */
export function explainOption(name: OptionName, checked: CheckedConf): Explanation {
  const row = rowOf(name)
  const settings = checked.settings.filter(({option}) => option === name).toReversed()
  return {
    name,
    about: row.about,
    type: describeType(row),
    default: row.kind === 'live' ? row.default : null,
    example: `${name}: ${row.example}`,
    variables: variablesOf(name),
    flag: flagText(name) ?? null,
    effect: row.kind === 'live' ? changeText(row.reload) : noteOf(row),
    state: optionStates(checked, true)[name] ?? null,
    settings: settings.map(({value, origin}) => ({value: shownValue(row, value), from: originText(origin)})),
    problems: checked.problems.filter(({option}) => option === name).map(({message}) => message),
  }
}

/** Gives a value for people; secrets are not shown. */
function shownValue(row: OptionRow, value: unknown): string {
  if (isSecret(row) && value !== null) return '(not shown)'
  return typeof value === 'string' ? value : shortValue(value)
}

/** Makes docs/config.md from the table. */
export function describeConfigMarkdown(): string {
  const sections = OPTION_NAMES.filter((name) => rowOf(name).kind === 'live').map(optionSection)
  return `<!-- Made by npm run generate from src/config/options.ts. -->
# Configuration

Each source is stronger than the one before: the defaults, \`DIR/cell.yaml\`, the environment, the flags of \`registry serve\`, and
\`DIR/cell.mods.yaml\`. A variable is \`SYN_REGISTRY_\` and the name in upper case with \`_\` for \`:\`; \`SYN_AHA_\` and \`SYN_AHACELL_\` are read
as well, the first that is set wins. \`registry config show --all\` prints what is in force and where it comes from, \`registry config explain
OPTION\` what sets an option, and \`registry config validate\` all that is wrong at once.

Values are YAML 1.1, read as PyYAML reads them: \`yes\` is true, \`012\` is ten, \`1:30\` is ninety, \`1e3\` is text. Durations are a number with
\`ms s m h d\`; a bare number is seconds. A file has at most 64 KiB, a variable 4 KiB, and 32 levels; anchors, aliases, merge keys and tags
beyond the core are refused, and so are unknown options in files, and unknown variables that begin with \`SYN_REGISTRY_\`.

\`\`\`yaml
# DIR/cell.yaml
bind: 192.0.2.10
zmq:allow:plain: true
zmq:req:port: 4242
lease:grace: 1m
\`\`\`

## Options

${sections.join('\n')}
## Options that have no effect

They mean something to the peer's implementation only. They are taken, and named once at start.

| option | why nothing happens |
|---|---|
${peerOnlyRows().join('\n')}
`
}

/** Gives the JSON schema of cell.yaml, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  const properties = OPTION_NAMES.map((name) => {
    const row = rowOf(name)
    const about = row.kind === 'live' ? `${row.about} Default: ${row.default}.` : `${row.about} ${noteOf(row)}`
    return [name, {description: about, ...jsonSchemaOf(name)}] as const
  })
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'cell.yaml of registry',
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(properties),
  }
}

function stateOf(name: OptionName, set: Setting | undefined, {conf}: CheckedConf): OptionState {
  const row = rowOf(name)
  const origin = set?.origin ?? ({kind: 'default'} as const)
  const common = {origin: origin.kind, from: originText(origin)}
  if (row.kind !== 'live')
    return {value: isSecret(row) && set?.value !== null ? '(not shown)' : set?.value, ...common, note: noteOf(row)}
  const value = (conf as Readonly<Record<string, unknown>>)[name]
  if (isSecret(row) && value !== null) return {value: '(not shown)', ...common}
  return {value: plainValue(row.type, value), ...common}
}

/** Gives a value of the conf as it would stand in cell.yaml. */
function plainValue({kind}: OptionType, value: unknown): unknown {
  if (kind === 'life' && value === null) return 'never'
  return kind === 'duration' || kind === 'life' ? durationText(Number(value)) : value
}

/** Writes milliseconds so that they can be put into cell.yaml: one number, the largest unit that loses nothing. */
function durationText(ms: number): string {
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'm'],
    [1000, 's'],
  ] as const
  const unit = ms === 0 ? undefined : units.find(([size]) => ms % size === 0)
  return unit === undefined ? `${ms}ms` : `${ms / unit[0]}${unit[1]}`
}

function isSecret(row: OptionRow): boolean {
  return isSecretRow(row)
}

function noteOf(row: OptionRow): string {
  if (row.kind === 'live') return ''
  return `No effect: ${row.why}.`
}

function changeText(reload: boolean): string {
  return reload ? 'A changed value is applied by SIGHUP.' : 'A changed value needs a restart.'
}

function flagText(name: OptionName): string | undefined {
  const flag = flagOf(name)
  if (flag === undefined) return undefined
  return flag.type === 'boolean' ? `--${flag.name}, --no-${flag.name}` : `--${flag.name} <value>`
}

function optionSection(name: OptionName): string {
  const row = rowOf(name)
  const effect = row.kind === 'live' ? changeText(row.reload) : noteOf(row)
  const [variable] = variablesOf(name).filter((text) => !text.startsWith('SYN_AHA'))
  const own = row.kind === 'live' && row.variable !== undefined ? ` or \`${row.variable}\`` : ''
  const flag = flagText(name)
    ?.split(', ')
    .map((part) => `\`${part}\``)
    .join(', ')
  return `### ${name}

${row.about} ${effect}

* takes: ${describeType(row)}
* default: \`${row.kind === 'live' ? row.default : 'null'}\`, example: \`${name}: ${row.example}\`
* variable: ${variable === undefined ? 'none' : `\`${variable}\`${own}`}, flag: ${flag ?? 'none'}
`
}

function peerOnlyRows(): string[] {
  return OPTION_NAMES.flatMap((name) => {
    const row = rowOf(name)
    return row.kind === 'peer-only' ? [`| \`${name}\` | ${row.why} |`] : []
  })
}
