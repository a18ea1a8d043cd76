/** Decides the configuration: the strongest setting of each option, checked, with the rules that hold between options. */
import assert from 'node:assert/strict'
import {RegistryError} from '../base/errors.ts'
import {
  type ConfigProblem,
  type ConfigWarning,
  type ConfSources,
  type Layers,
  type Origin,
  originText,
  readLayers,
  type Setting,
} from './layers.ts'
import {
  type Conf,
  isOptionName,
  isSecretRow,
  type LiveName,
  OPTION_NAMES,
  OPTIONS,
  type OptionName,
  rowOf,
} from './options.ts'
import {relationProblems, withDerived} from './relations.ts'
import {checkValue} from './schema.ts'
import {readSimpleText, scalarValue} from './yaml-scalars.ts'

/** A configuration in force. */
export interface LoadedConf {
  /** Frozen. */
  readonly conf: Conf
  readonly origins: Readonly<Record<LiveName, Origin>>
  /** What the operator should be told once, at start. */
  readonly warnings: readonly ConfigWarning[]
}

/**
 * Loads the configuration: defaults, then `DIR/cell.yaml`, variables, flags, and `DIR/cell.mods.yaml`, each stronger than the one before.
 *
 * @throws RegistryError `REG_CONFIG_INVALID` that names everything that is wrong at once; `info.problems` has them one by one.
 */
export async function loadConf(sources: ConfSources): Promise<LoadedConf> {
  const checked = await inspectConf(sources)
  if (checked.problems.length > 0) throw invalid(checked.problems)
  return {conf: checked.conf, origins: checked.origins, warnings: checked.warnings}
}

/** What came out of all layers. `conf` has the default where a value was refused. */
export interface CheckedConf extends LoadedConf {
  /** Configuration files that are there. */
  readonly files: readonly string[]
  /** Everything that sets an option, the weakest first. */
  readonly settings: readonly Setting[]
  readonly problems: readonly ConfigProblem[]
}

/** Reads and checks a configuration as `loadConf` does, and gives what is wrong instead of throwing it. */
export async function inspectConf(sources: ConfSources): Promise<CheckedConf> {
  return checkLayers(await readLayers(sources))
}

/** Checks the settings and picks those in force. Only the strongest setting of an option is looked at, as the peer does. */
function checkLayers({files, settings, problems: found, warnings: noted}: Layers): CheckedConf {
  const problems = [...found]
  const warnings = [...noted]
  const values: Record<string, unknown> = {}
  const origins: Record<string, Origin> = {}
  for (const [option, setting] of strongest(settings)) {
    const row = rowOf(option)
    const {value, problem} = checkSetting(setting)
    if (problem !== undefined) problems.push(problem)
    else warnings.push(...warningsOf(setting))
    if (row.kind !== 'live' || problem !== undefined) continue
    values[option] = value
    origins[option] = setting.origin
  }
  const withDefaults = Object.fromEntries(LIVE_NAMES.map((name) => [name, origins[name] ?? DEFAULT_ORIGIN]))
  const conf = {...defaults(), ...values} as Conf
  const loaded = withDerived({conf, origins: withDefaults as Record<LiveName, Origin>})
  problems.push(...relationProblems(loaded))
  return {...loaded, files, settings, problems, warnings}
}

/** Makes one error of all problems. */
export function invalid(problems: readonly ConfigProblem[]): RegistryError {
  const texts = problems.map(({message}) => message)
  const message =
    texts.length === 1
      ? `${texts[0]}`
      : [`${texts.length} things are wrong in the configuration:`, ...texts].join('\n  ')
  const known = new Set(problems.flatMap(({option}) => (option !== undefined && isOptionName(option) ? [option] : [])))
  const explain = [...known].slice(0, LARGEST_HINTS).map((option) => `registry config explain ${option}`)
  return new RegistryError('REG_CONFIG_INVALID', message, {
    hints: [...explain, 'registry config validate'],
    info: {
      problems: problems.map(({option, message: text, origin}) => ({
        option,
        message: text,
        origin: originText(origin),
      })),
    },
  })
}

/** Names of options whose value changed. */
export interface ConfChange {
  /** May be applied to the running registry. */
  readonly live: readonly LiveName[]
  /** Take effect at the next start only. */
  readonly restart: readonly LiveName[]
}

/** Compares two configurations of the same registry, for SIGHUP. */
export function compareConf(before: Conf, after: Conf): ConfChange {
  const changed = LIVE_NAMES.filter((name) => !isSame(before[name], after[name]))
  return {
    live: changed.filter((name) => OPTIONS[name].reload),
    restart: changed.filter((name) => !OPTIONS[name].reload),
  }
}

/** Options that do something in this version, in the order of the table. */
export const LIVE_NAMES: readonly LiveName[] = OPTION_NAMES.filter(
  (name): name is LiveName => OPTIONS[name].kind === 'live',
)

/** Values are plain: equal texts mean equal values. */
function isSame(before: unknown, after: unknown): boolean {
  return before === after || JSON.stringify(before) === JSON.stringify(after)
}

const LARGEST_HINTS = 3
const DEFAULT_ORIGIN: Origin = {kind: 'default'}

function strongest(settings: readonly Setting[]): Map<OptionName, Setting> {
  return new Map(settings.map((setting) => [setting.option, setting]))
}

function defaults(): Record<string, unknown> {
  return Object.fromEntries(LIVE_NAMES.map((name) => [name, defaultOf(name)]))
}

/** Reads the default the way an operator's value is read, so that it cannot be one that nobody else may set. */
function defaultOf(name: LiveName): unknown {
  const simple = readSimpleText(OPTIONS[name].default)
  assert(simple !== undefined, `the default of ${name} must be one word`)
  const checked = checkValue(name, scalarValue(simple))
  assert(checked.ok, `the default of ${name} is refused by its own row`)
  return checked.value
}

function checkSetting({option, value, origin}: Setting): {value?: unknown; problem?: ConfigProblem} {
  const checked = checkValue(option, value)
  if (checked.ok) return {value: checked.value}
  const row = rowOf(option)
  const rule = `${option} must be ${checked.expected}`
  const shown = isSecretRow(row) ? 'a value that is not shown' : shortValue(value)
  return {problem: {option, message: `${rule} (got ${shown}, from ${originText(origin)})`, origin}}
}

function warningsOf({option, origin}: Setting): ConfigWarning[] {
  const row = rowOf(option)
  const from = originText(origin)
  if (row.kind === 'peer-only') {
    return [{kind: 'peer-only', name: option, message: `${option} has no effect here: ${row.why} (from ${from})`}]
  }
  if (row.deprecated !== undefined) {
    return [
      {kind: 'deprecated', name: option, message: `${option} is deprecated; use ${row.deprecated} (from ${from})`},
    ]
  }
  return []
}

/** Gives a value for a message: in one line, and not long. */
export function shortValue(value: unknown): string {
  const text =
    typeof value === 'number'
      ? String(value)
      : (JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)) ?? typeof value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
