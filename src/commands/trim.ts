import {Args, Flags} from '@oclif/core'
import {RegistryError} from '../base/errors.ts'
import {CellCommand, cellFlags, confirmFlags} from '../cli/cell-command.ts'
import {durationFlag} from '../cli/flags.ts'
import {absentIn, ownReport} from '../cli/trim-own.ts'
import {carryOut, planTrim, type TrimReport, type TrimTarget, type TrimWish, trimReport} from '../cli/trim-run.ts'
import {trimText} from '../cli/trim-text.ts'
import {readLogFacts, type TrimLimits} from '../client/trim.ts'
import {canTrimItself, trimOwn} from '../client/trim-own.ts'
import {assertNobodyIsCutOff} from '../registry/trim.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'

const FOLLOWS_WITHIN_MS = 60_000

interface TrimFlags {
  readonly 'dry-run': boolean
  readonly yes: boolean
  readonly timeout?: number | undefined
  readonly 'keep-for'?: number | undefined
  readonly forget: readonly string[]
}

export default class Trim extends CellCommand {
  static override readonly summary =
    'Drop the oldest entries of the change log of a service, once all who follow it have them.'
  static override readonly description =
    `The URL is that of the leader. Its mirrors are found through AHA, and do the same; --consumer names others who follow the log. Nothing is dropped while one
of them is away or behind: it would have to be made anew. A real service drops whole files: what --keep leaves of a file goes with a later trim. A
server of ours knows its mirrors by itself, and who archives its log with registry backup follow; it trims to the entry, and gives the space back.`
  static override readonly exits = {
    5: 'it does not lead, or keeps no change log',
    6: 'one who follows cannot be reached',
    7: 'one who follows did not catch up in time',
  }
  static override readonly args = {url: Args.string({description: 'Leader whose log to trim, instead of --url.'})}
  static override readonly examples = [
    {
      description: 'Trim the log of a Cortex and of its mirrors.',
      command: '<%= config.bin %> <%= command.id %> aha://cortex... --yes',
    },
    {
      description: 'Keep the last entries, and see what would be done.',
      command: '<%= config.bin %> <%= command.id %> aha://cortex... --keep 10000 --dry-run',
    },
    {
      description: 'Trim the log of this registry, and keep a week of it.',
      command: '<%= config.bin %> <%= command.id %> --keep-for 7d --yes',
    },
    {
      description: 'Wait for one who is no mirror too.',
      command: '<%= config.bin %> <%= command.id %> aha://cortex... --consumer aha://00.search... --yes',
    },
  ]
  static override readonly flags = {
    consumer: Flags.string({
      summary: 'One more who follows the log, as the service reaches it; can be given several times.',
      helpValue: 'URL',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    keep: Flags.integer({summary: 'How many of the newest entries stay.', min: 0, exclusive: ['keep-for']}),
    'keep-for': durationFlag({summary: 'Younger entries stay; a real service does not know how old its entries are.'}),
    forget: Flags.string({
      summary:
        'One that archived the log of a registry and is gone for good, as registry status names it; is not waited for any more.',
      helpValue: 'NAME',
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    force: Flags.boolean({
      summary: 'Trim although somebody who follows is away or behind, and cut it off.',
      default: false,
    }),
    ...confirmFlags,
    ...cellFlags,
    timeout: durationFlag({summary: 'Longest wait for each who follows; 60s unless given.', helpGroup: 'CELL'}),
  }

  async run(): Promise<TrimReport> {
    const {args, flags} = await this.parse(Trim)
    const wish = {consumers: flags.consumer, keep: flags.keep ?? 0, isForced: flags.force}
    const limits = {signal: this.signal, timeoutMs: flags.timeout ?? FOLLOWS_WITHIN_MS}
    const {url, cell} = await this.openFirst(await this.chooseUrls('cell', flags, args.url), flags)
    await using _ends = cell
    if (canTrimItself(cell)) return await this.#ofOurs({cell, url}, wish, flags)
    if (flags['keep-for'] !== undefined) throw noTimes()
    if (flags.forget.length > 0) throw noArchivers()
    await using env = await this.openEnv(url)
    return await this.#ofOthers({cell, url, env}, wish, limits, flags)
  }

  /** A server of ours knows who follows it, and when its entries were written. */
  async #ofOurs({cell, url}: Omit<TrimTarget, 'env'>, wish: TrimWish, flags: TrimFlags): Promise<TrimReport> {
    const {timeout: timeoutMs = FOLLOWS_WITHIN_MS, 'keep-for': keepForMs, forget: forgotten} = flags
    const name = sanitizeUrl(url)
    const asked = {...wish, keepForMs, forgotten, timeoutMs}
    const plan = ownReport(
      name,
      await trimOwn(cell, name, {...asked, isDry: true}, this.signal),
      wish,
      flags['dry-run'],
    )
    const isIdle = plan.trimmedTo === null
    // What a dry run shows is what would be done.
    if (!isIdle && !wish.isForced) assertNobodyIsCutOff(absentIn(plan), name)
    if (flags['dry-run']) this.say('dry run: nothing was done')
    if (flags['dry-run'] || (isIdle && forgotten.length === 0)) return this.show(plan, trimText)
    if (!isIdle) await this.#confirmLoss(plan, flags)
    using _working = await this.progress('trimming')
    const done = await trimOwn(cell, name, {...asked, isDry: false}, this.signal)
    return this.show(ownReport(name, done, wish, false), trimText)
  }

  async #ofOthers(target: TrimTarget, wish: TrimWish, limits: TrimLimits, flags: TrimFlags): Promise<TrimReport> {
    const {cell, url} = target
    using progress = await this.progress('waiting until all who follow have the log')
    const plan = await planTrim(target, wish, limits)
    const isIdle = plan.last === undefined
    const report = trimReport(plan, wish, {after: null, trimmedTo: plan.last, dryRun: flags['dry-run']})
    if (flags['dry-run']) this.say('dry run: nothing was done')
    if (flags['dry-run'] || isIdle) return this.show(report, trimText)
    progress[Symbol.dispose]()
    await this.#confirmLoss(report, flags)
    using _working = await this.progress('trimming')
    const trimmedTo = await carryOut(target, plan, wish, limits)
    const after = await readLogFacts(cell, url, this.signal)
    return this.show(trimReport(plan, wish, {after, trimmedTo, dryRun: false}), trimText)
  }

  async #confirmLoss({service, before, trimmedTo, followers, warnings}: TrimReport, flags: TrimFlags): Promise<void> {
    const range = `entries ${before.oldest ?? 0} to ${trimmedTo ?? 0}`
    const what = `drop ${range} of the change log of ${service}, which can then no longer be read`
    // Who is cut off must be made anew: that is more than a yes.
    const isCutting = followers.some(({why}) => why !== null)
    await this.confirm({what, about: warnings, ...(isCutting ? {name: service} : {})}, flags)
  }
}

function noArchivers(): RegistryError {
  const text = 'a real service does not know who archives its log: there is nobody to forget'
  return new RegistryError('REG_USAGE', text, {hints: ['registry trim without --forget']})
}

function noTimes(): RegistryError {
  const text = 'the log of a real service does not say when its entries were written, which --keep-for needs'
  return new RegistryError('REG_USAGE', text, {hints: ['give --keep with a number of entries']})
}
