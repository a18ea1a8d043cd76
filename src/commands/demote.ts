import {Args} from '@oclif/core'
import {cellFlags, dryRunFlag} from '../cli/cell-command.ts'
import {LeadCommand, type LeadReport} from '../cli/lead-command.ts'
import {demote} from '../client/leadership.ts'
import {assertDemotable, leadersOf} from '../registry/leadership.ts'

export default class Demote extends LeadCommand {
  static override readonly summary = 'Let a leader give the lead to one of its mirrors, and follow that one.'
  static override readonly description =
    `The leader asks its mirrors, the one that is furthest first, to take over; nothing is lost. It needs a mirror that is online, ready and may lead
(aha:promotable). To choose which one leads: promote that one.`
  static override readonly exits = {
    5: 'it does not lead, or none of its mirrors can or did take over',
    7: 'no mirror took over in time',
  }
  static override readonly args = {url: Args.string({description: 'Leader to demote, instead of --url.'})}
  static override readonly examples = [
    {description: 'Free the machine of a leader.', command: '<%= config.bin %> <%= command.id %> aha://cortex...'},
    {
      description: 'See who would lead, in a script.',
      command: '<%= config.bin %> <%= command.id %> aha://cortex... --dry-run --json',
    },
  ]
  static override readonly flags = {...dryRunFlag, ...cellFlags}

  async run(): Promise<LeadReport> {
    const {args, flags} = await this.parse(Demote)
    await using target = await this.target(flags, args.url)
    const {before, cell} = target
    const {me} = before
    const [heir] = assertDemotable(before)
    const nothing = {warnings: [], next: []}
    if (flags['dry-run']) return this.showLead(heir?.name ?? `a mirror of ${me.name}`, before, undefined, nothing)
    await demote(cell, me.name, {timeoutMs: flags.timeout, signal: this.signal, url: me.url})
    const after = await this.settled(target, {isLeading: false, isAlone: false})
    const [leader = heir] = leadersOf(after.members)
    return this.showLead(leader?.name ?? `a mirror of ${me.name}`, before, after, nothing)
  }
}
