/** Gathers what is said about the options, source by source, without deciding anything: every setting with the place it comes from. */
import {join} from 'node:path'
import {RegistryError} from '../base/errors.ts'
import {nearestName} from '../base/nearest.ts'
import {flagOf, isOptionName, OPTION_NAMES, type OptionName, PREFIXES, variablesOf} from './options.ts'
import {readConfigFile} from './read-file.ts'
import type {YamlNode} from './yaml.ts'
import {readSimpleText, scalarValue, YAML_LIMITS} from './yaml-scalars.ts'

/** Where a value comes from. */
export type Origin =
  | {readonly kind: 'default'}
  | {readonly kind: 'file'; readonly file: string; readonly line: number}
  | {readonly kind: 'variable'; readonly variable: string}
  | {readonly kind: 'flag'; readonly flag: string}
  | {readonly kind: 'argument'}
  | {readonly kind: 'aha'; readonly aha: string}

/** One place that sets an option. */
export interface Setting {
  readonly option: OptionName
  readonly value: unknown
  readonly origin: Origin
}

/** Something wrong with the configuration. */
export interface ConfigProblem {
  /** The option, or the unknown name; absent when a whole file cannot be read. */
  readonly option?: string
  readonly message: string
  readonly origin: Origin
}

/** Something the operator should know, though the registry starts. */
export interface ConfigWarning {
  readonly kind: 'peer-only' | 'deprecated' | 'unknown-variable'
  /** The option, or the unknown variable. */
  readonly name: string
  readonly message: string
}

/** All that was found; settings in the order of precedence, the weakest first. */
export interface Layers {
  /** Configuration files that are there. */
  readonly files: readonly string[]
  readonly settings: readonly Setting[]
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly ConfigWarning[]
}

/** What a configuration is made from. */
export interface ConfSources {
  /** Data directory; its files need not be there. */
  readonly dir: string
  /** Variables; those of the process by default. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** What the command line gave, by name of the flag; names that are no flags of options are passed over. */
  readonly flags?: Readonly<Record<string, unknown>>
  /** Options given by a program, by name; stronger than variables, like flags. */
  readonly given?: Readonly<Record<string, unknown>>
  /** What an AHA gives a service that it provisions. */
  readonly provisioned?: ProvisionedConf | undefined
}

/** What an AHA gives a service: it comes into cell.yaml, and what cell.mods.yaml says of the same options counts no more. */
export interface ProvisionedConf {
  readonly conf: Readonly<Record<string, unknown>>
  /** The AHA, as it may be shown. */
  readonly aha: string
}

/** Options that the two files lose when a service is provisioned. A mirror of before is none after it. */
export function replacedBy({conf}: ProvisionedConf): readonly string[] {
  return [...new Set([...Object.keys(conf), 'mirror'])]
}

/** Says where a value comes from, in words. */
export function originText(origin: Origin): string {
  switch (origin.kind) {
    case 'default':
      return 'default'
    case 'file':
      return `${origin.file} line ${origin.line}`
    case 'variable':
      return origin.variable
    case 'flag':
      return `--${origin.flag}`
    case 'argument':
      return 'the calling program'
    case 'aha':
      return origin.aha
  }
}

/** Reads all sources. Never throws for what stands in them: that is in `problems`. */
export async function readLayers(sources: ConfSources): Promise<Layers> {
  const {dir, env = process.env, flags = {}, given = {}, provisioned} = sources
  const layers = new Collector()
  const replaced = new Set(provisioned === undefined ? [] : replacedBy(provisioned))
  await layers.takeFile(join(dir, 'cell.yaml'), replaced)
  if (provisioned !== undefined) layers.takeGiven(provisioned.conf, {kind: 'aha', aha: provisioned.aha})
  await layers.takeVariables(env)
  await layers.takeFlags(flags)
  layers.takeGiven(given, {kind: 'argument'})
  await layers.takeFile(join(dir, 'cell.mods.yaml'), replaced)
  return layers
}

/** A file of empty lines and comments: a template perhaps, of which nothing is used. */
const SAYS_NOTHING = /^(?: *(?:#[\x20-\x7e]*)?\n)*$/

class Collector implements Layers {
  readonly files: string[] = []
  readonly settings: Setting[] = []
  readonly problems: ConfigProblem[] = []
  readonly warnings: ConfigWarning[] = []

  async takeFile(file: string, without: ReadonlySet<string>): Promise<void> {
    const whole: Origin = {kind: 'file', file, line: 1}
    try {
      const text = await readConfigFile(file)
      if (text === undefined) return
      this.files.push(file)
      if (SAYS_NOTHING.test(text)) return
      const {plainValue, readYaml} = await import('./yaml.ts')
      const node = readYaml(text, {source: file, maxBytes: YAML_LIMITS.fileBytes})
      this.#takeEntries(file, node, plainValue, without)
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      const line = typeof error.info['line'] === 'number' ? error.info['line'] : 1
      this.problems.push({message: error.message, origin: {...whole, line}})
    }
  }

  async takeVariables(env: Readonly<Record<string, string | undefined>>): Promise<void> {
    const known = new Set<string>()
    for (const option of OPTION_NAMES) {
      const names = variablesOf(option)
      for (const name of names) known.add(name)
      // The first of them wins: it comes last here.
      for (const variable of names.toReversed()) {
        const text = env[variable]
        if (text !== undefined) await this.#takeText(option, text, {kind: 'variable', variable}, variable)
      }
    }
    for (const [name, value] of Object.entries(env)) {
      if (value !== undefined && !known.has(name)) this.#takeUnknownVariable(name)
    }
  }

  async takeFlags(flags: Readonly<Record<string, unknown>>): Promise<void> {
    for (const option of OPTION_NAMES) {
      const flag = flagOf(option)
      if (flag === undefined || !Object.hasOwn(flags, flag.name)) continue
      const origin: Origin = {kind: 'flag', flag: flag.name}
      const value = flags[flag.name]
      if (typeof value === 'string') await this.#takeText(option, value, origin, `--${flag.name}`)
      else if (value !== undefined) this.settings.push({option, value, origin})
    }
  }

  takeGiven(given: Readonly<Record<string, unknown>>, origin: Origin): void {
    for (const [name, value] of Object.entries(given)) {
      if (!isOptionName(name)) this.problems.push(unknownOption(name, origin))
      else if (value !== undefined) this.settings.push({option: name, value, origin})
    }
  }

  #takeEntries(file: string, node: YamlNode, toValue: (node: YamlNode) => unknown, without: ReadonlySet<string>): void {
    if (node.type === 'null') return
    if (node.type !== 'map') {
      const message = `${file} line ${node.line}: must be a mapping of options to values`
      this.problems.push({message, origin: {kind: 'file', file, line: node.line}})
      return
    }
    for (const {key, value, line} of node.entries) {
      if (without.has(key)) continue
      const origin: Origin = {kind: 'file', file, line}
      if (isOptionName(key)) this.settings.push({option: key, value: toValue(value), origin})
      else this.problems.push(unknownOption(key, origin))
    }
  }

  /** Reads a text as YAML, as the peer does with variables. */
  async #takeText(option: OptionName, text: string, origin: Origin, source: string): Promise<void> {
    try {
      this.settings.push({option, value: await readText(text, source), origin})
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      this.problems.push({option, message: error.message, origin})
    }
  }

  #takeUnknownVariable(name: string): void {
    const prefix = PREFIXES.find((start) => name.startsWith(start))
    if (prefix === undefined) return
    const known = OPTION_NAMES.flatMap(variablesOf).filter((variable) => variable.startsWith(prefix))
    const nearest = suggestion(name, known, prefix.length)
    if (prefix === PREFIXES[0]) {
      const origin: Origin = {kind: 'variable', variable: name}
      this.problems.push({option: name, message: `${name} is not an option of the registry${nearest}`, origin})
    } else {
      const message = `${name} is not an option of the registry and has no effect${nearest}`
      this.warnings.push({kind: 'unknown-variable', name, message})
    }
  }
}

function unknownOption(name: string, origin: Origin): ConfigProblem {
  const shown = name.length > 80 ? `${name.slice(0, 80)}…` : name
  const message = `${shown} is not an option (from ${originText(origin)})${suggestion(name, OPTION_NAMES)}`
  return {option: shown, message, origin}
}

/** Adds the nearest known name, if there is one; the first `skip` characters are the same in all and do not count. */
function suggestion(name: string, known: readonly string[], skip = 0): string {
  const nearest = nearestName(
    name.slice(skip, skip + 80),
    known.map((other) => other.slice(skip)),
  )
  return nearest === undefined ? '' : `; did you mean ${name.slice(0, skip)}${nearest}?`
}

/** Reads the text of a variable or flag. The parser costs as much as the rest of the start and is loaded only where it is needed. */
async function readText(text: string, source: string): Promise<unknown> {
  const simple = readSimpleText(text)
  if (simple !== undefined) return scalarValue(simple)
  const {plainValue, readYaml} = await import('./yaml.ts')
  return plainValue(readYaml(text, {source, maxBytes: YAML_LIMITS.variableBytes}))
}
