import {setTimeout} from 'node:timers/promises'
import {assertAdmin} from '../client/leadership.ts'
import {type ServiceGroup, whenSettled} from '../client/service-group.ts'
import {problemsOf} from '../registry/leadership.ts'
import type {TelepathProxy} from '../wire/telepath/caller.ts'
import {CellCommand, type CellWish} from './cell-command.ts'
import {type GroupReader, groupReader} from './group-reader.ts'
import {beforeAndAfter, type GroupReport, groupReport, groupText} from './group-report.ts'
import {printable} from './printable.ts'

/** What a command that moves the lead answers under `--json`. */
export interface LeadReport {
  readonly changed: boolean
  /** With `--dry-run`, nothing was done. */
  readonly dryRun: boolean
  /** Full name of who leads now, or would. */
  readonly leader: string
  readonly before: GroupReport
  /** Null with `--dry-run`. */
  readonly after: GroupReport | null
  /** What may be lost, and what is not as it should be afterwards. */
  readonly warnings: readonly string[]
  /** Full names of those that the AHA keeps from leading since. */
  readonly fenced: readonly string[]
  /** What to do next, commands among it. */
  readonly next: readonly string[]
}

/** Mirrors follow the new leader within seconds; a service that is slower is told of. */
const SETTLES_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 300

/** A service whose role is to change, and the others of its cell. */
export interface LeadTarget extends AsyncDisposable {
  readonly cell: TelepathProxy
  readonly groups: GroupReader
  readonly before: ServiceGroup
}

/** A command that moves the lead of a cell from one service to another. */
export abstract class LeadCommand extends CellCommand {
  /** Opens the service, and looks at all of its cell. @throws RegistryError also `REG_DENIED`, where the caller may not move the lead */
  protected async target(flags: CellWish, argument: string | undefined): Promise<LeadTarget> {
    await using stack = new AsyncDisposableStack()
    const {url, cell} = await this.openFirst(await this.chooseUrls('cell', flags, argument), flags)
    stack.use(cell)
    await assertAdmin(cell, {signal: this.signal})
    const options = {timeoutMs: flags.timeout, signal: this.signal}
    const groups = stack.use(groupReader(url, () => this.openEnv(url), options))
    const before = await whenSettled(() => groups.find(cell), this.signal)
    const ends = stack.move()
    return {cell, groups, before, [Symbol.asyncDispose]: () => ends.disposeAsync()}
  }

  /**
   * Waits until the service leads, or follows, as it should, and unless it is alone all others follow who leads and none is worse off than before;
   * gives how they are then, or when it lasts too long.
   */
  protected async settled(
    {cell, groups, before}: LeadTarget,
    {isLeading, isAlone}: {readonly isLeading: boolean; readonly isAlone: boolean},
  ): Promise<ServiceGroup> {
    using progress = await this.progress('waiting until the mirrors follow')
    const known = new Set(problemsOf(before.members))
    const late = AbortSignal.timeout(SETTLES_WITHIN_MS)
    for (;;) {
      const group = await groups.find(cell)
      const problems = problemsOf(group.members).filter((problem) => !known.has(problem))
      const isDone = group.me.state?.isActive === isLeading && (isAlone || problems.length === 0)
      if (late.aborted || isDone) return group
      progress.say(`waiting: ${printable(problems[0] ?? 'the lead moves')}`)
      await setTimeout(LOOK_EVERY_MS, undefined, {signal: this.signal}).catch(() => this.signal.throwIfAborted())
    }
  }

  /** Shows who led and who leads. */
  protected showLead(
    leader: string,
    before: ServiceGroup,
    after: ServiceGroup | undefined,
    more: {
      readonly warnings: readonly string[]
      readonly next: readonly string[]
      readonly fenced?: readonly string[]
    },
  ): LeadReport {
    const [was, is] = [groupReport(before), after === undefined ? null : groupReport(after)]
    const warnings = [...more.warnings, ...(is?.problems ?? [])]
    const {next, fenced = []} = more
    const report = {changed: true, dryRun: is === null, leader, before: was, after: is, warnings, fenced, next}
    if (is === null) this.say('dry run: nothing was done')
    return this.show(report, () => leadText(report, is))
  }
}

function leadText({leader, before, fenced, next}: LeadReport, after: GroupReport | null): string {
  const lines = [printable(after === null ? `${leader} would lead` : `${leader} leads now`)]
  lines.push('', after === null ? groupText(before) : beforeAndAfter(before, after))
  for (const name of fenced) lines.push(printable(`kept from leading: ${name}`))
  for (const problem of after?.problems ?? []) lines.push(printable(`problem: ${problem}`))
  if (next.length > 0) lines.push('', 'next:', ...next.map((step) => `  ${printable(step)}`))
  return lines.join('\n')
}
