import {Args, Flags} from '@oclif/core'
import type {ReturnReport} from '../cli/allow-return.ts'
import {type CellWish, cellFlags, confirmFlags} from '../cli/cell-command.ts'
import {LeadCommand, type LeadReport, type LeadTarget} from '../cli/lead-command.ts'
import {printable} from '../cli/printable.ts'
import {leadAgain, promote} from '../client/leadership.ts'
import type {ServiceGroup} from '../client/service-group.ts'
import {againWarnings, assertPromotable, forcedNext, forcedWarnings} from '../registry/leadership.ts'

interface Wish {
  readonly yes?: boolean | undefined
  readonly timeout?: number | undefined
  readonly 'dry-run': boolean
  readonly 'allow-return'?: boolean | undefined
}

export default class Promote extends LeadCommand {
  static override readonly summary =
    'Make a mirror the leader of its service: by a hand-over, or after a failure of the leader.'
  static override readonly description =
    `The URL is that of the mirror. Its leader hands over: it takes no changes until the mirror has all, and follows it then; nothing is lost.
With --failure nobody is asked: the mirror leads with what it has. What its leader wrote beyond that is lost, and the old leader must not start again as it
is: it would lead too. An AHA of this software refuses it the name of the leader until it is provisioned anew; a real one does not. With --allow-return it is
not refused. --allow-return without --failure promotes nobody: it lets those lead again that were refused, of the cell or the one that the URL names.
The name of the mirror is to be typed, or --yes given. On a member of this software that is fenced, --failure lets it lead again when the one that took the lead
from it is gone for good; while that one answers, it is refused.`
  static override readonly exits = {
    5: 'it is no mirror, or has not caught up',
    6: 'its leader cannot be reached',
    7: 'it did not catch up in time',
  }
  static override readonly args = {url: Args.string({description: 'Mirror to promote, instead of --url.'})}
  static override readonly examples = [
    {description: 'Move the lead to a mirror.', command: '<%= config.bin %> <%= command.id %> aha://01.cortex...'},
    {
      description: 'See what would be done.',
      command: '<%= config.bin %> <%= command.id %> aha://01.cortex... --dry-run',
    },
    {
      description: 'Let a mirror lead whose leader is gone for good, without being asked.',
      command: '<%= config.bin %> <%= command.id %> aha://01.cortex... --failure --yes',
    },
    {
      description: 'Let an old leader lead again that the AHA keeps from it.',
      command: '<%= config.bin %> <%= command.id %> aha://00.cortex... --allow-return',
    },
  ]
  static override readonly flags = {
    failure: Flags.boolean({summary: 'The leader is gone: lead without a hand-over.'}),
    'allow-return': Flags.boolean({
      summary: 'Do not keep the old leader from leading, with --failure; alone, let it lead again.',
    }),
    ...confirmFlags,
    yes: Flags.boolean({summary: 'Do not ask, with --failure.', dependsOn: ['failure']}),
    ...cellFlags,
  }

  async run(): Promise<LeadReport | ReturnReport> {
    const {args, flags} = await this.parse(Promote)
    if (flags['allow-return'] && !flags.failure) return await this.#allowReturn(flags, args.url)
    await using target = await this.target(flags, args.url)
    return flags.failure ? await this.#force(target, flags) : await this.#handOver(target, flags)
  }

  async #handOver(target: LeadTarget, flags: Wish): Promise<LeadReport> {
    const {before, cell} = target
    const {name} = before.me
    const more = {warnings: [], next: []}
    assertPromotable(before, false)
    if (flags['dry-run']) return this.showLead(name, before, undefined, more)
    await promote(cell, name, {isForced: false, timeoutMs: flags.timeout, signal: this.signal, url: before.me.url})
    return this.showLead(name, before, await this.settled(target, {isLeading: true, isAlone: false}), more)
  }

  async #force(target: LeadTarget, flags: Wish): Promise<LeadReport> {
    const {before} = target
    const {name, state} = before.me
    if (state?.outranked !== undefined) return await this.#leadAgain(target, state.outranked, flags)
    assertPromotable(before, true)
    const warnings = forcedWarnings(before)
    await this.#confirmLoss(name, warnings, flags)
    const next = (kept: readonly string[], group: ServiceGroup) =>
      forcedNext(before, before.leaderAlias, kept, before.isFencing === true ? group.members : before.members)
    const {promoteByForce} = await import('../cli/forced-promotion.ts')
    const fenced = await promoteByForce(target, {
      timeoutMs: flags.timeout,
      signal: this.signal,
      allowsReturn: flags['allow-return'] === true,
      isDry: flags['dry-run'],
      say: (text) => this.say(printable(text)),
    })
    if (flags['dry-run']) return this.showLead(name, before, undefined, {warnings, next: next(fenced, before)})
    const after = await this.settled(target, {isLeading: true, isAlone: true})
    return this.showLead(name, before, after, {warnings, fenced, next: next(fenced, after)})
  }

  /** The one that took the lead from this one is gone for good. */
  async #leadAgain(target: LeadTarget, by: {leader: string; epoch: number}, flags: Wish): Promise<LeadReport> {
    const {before, cell} = target
    const {name} = before.me
    const warnings = againWarnings(before, by.leader, by.epoch)
    await this.#confirmLoss(name, warnings, flags, `let ${name} lead again without ${by.leader}`)
    if (flags['dry-run']) return this.showLead(name, before, undefined, {warnings, next: []})
    await leadAgain(cell, name, by.epoch, {timeoutMs: flags.timeout, signal: this.signal, url: before.me.url})
    const after = await this.settled(target, {isLeading: true, isAlone: true})
    return this.showLead(name, before, after, {warnings, next: forcedNext(before, before.leaderAlias)})
  }

  async #allowReturn(flags: Wish & CellWish, argument: string | undefined): Promise<ReturnReport> {
    const {allowReturn} = await import('../cli/allow-return.ts')
    const urls = await this.chooseUrls('cell', flags, argument)
    await using env = await this.openEnv(urls[0])
    const open = async () => (await this.openFirst(urls, flags)).cell
    const report = await allowReturn(urls[0], env, open, {signal: this.signal, isDry: flags['dry-run']})
    if (report.dryRun) this.say('dry run: nothing was done')
    return this.show(report, ({allowed, dryRun}) =>
      allowed.map((name) => printable(`${name} ${dryRun ? 'could' : 'may'} lead again`)).join('\n'),
    )
  }

  async #confirmLoss(
    name: string,
    about: readonly string[],
    {yes = false, 'dry-run': isDry}: Wish,
    what = `let ${name} lead without its leader`,
  ): Promise<void> {
    if (yes || isDry) for (const line of about) this.say(printable(line))
    await this.confirm({what, name, about}, {yes, 'dry-run': isDry})
  }
}
