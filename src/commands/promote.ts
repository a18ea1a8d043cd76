import {Args, Flags} from '@oclif/core'
import {cellFlags, confirmFlags} from '../cli/cell-command.ts'
import {LeadCommand, type LeadReport} from '../cli/lead-command.ts'
import {printable} from '../cli/printable.ts'
import {promote} from '../client/leadership.ts'
import {assertPromotable, forcedNext, forcedWarnings} from '../registry/leadership.ts'

export default class Promote extends LeadCommand {
  static override readonly summary =
    'Make a mirror the leader of its service: by a hand-over, or after a failure of the leader.'
  static override readonly description =
    `The URL is that of the mirror. Its leader hands over: it takes no changes until the mirror has all, and follows it then; nothing is lost.
With --failure nobody is asked: the mirror leads with what it has. What its leader wrote beyond that is lost, and the old leader must not start again as it
is: it would lead too. The name of the mirror is to be typed, or --yes given.`
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
  ]
  static override readonly flags = {
    failure: Flags.boolean({summary: 'The leader is gone: lead without a hand-over.'}),
    ...confirmFlags,
    yes: Flags.boolean({summary: 'Do not ask, with --failure.', dependsOn: ['failure']}),
    ...cellFlags,
  }

  async run(): Promise<LeadReport> {
    const {args, flags} = await this.parse(Promote)
    await using target = await this.target(flags, args.url)
    const {before, cell} = target
    const {me, leaderAlias} = before
    const isForced = flags.failure === true
    assertPromotable(before, isForced)
    const warnings = isForced ? forcedWarnings(before) : []
    const next = isForced ? forcedNext(before, leaderAlias) : []
    if (isForced) await this.#confirmLoss(me.name, warnings, {yes: flags.yes === true, 'dry-run': flags['dry-run']})
    if (flags['dry-run']) return this.showLead(me.name, before, undefined, {warnings, next})
    await promote(cell, me.name, {isForced, timeoutMs: flags.timeout, signal: this.signal})
    const after = await this.settled(target, {isLeading: true, isAlone: isForced})
    return this.showLead(me.name, before, after, {warnings, next})
  }

  async #confirmLoss(
    name: string,
    about: readonly string[],
    flags: {readonly yes: boolean; readonly 'dry-run': boolean},
  ): Promise<void> {
    if (flags.yes || flags['dry-run']) for (const line of about) this.say(printable(line))
    await this.confirm({what: `let ${name} lead without its leader`, name, about}, flags)
  }
}
