import {Args, Flags} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {CellCommand, cellFlags} from '../../cli/cell-command.ts'
import {printable} from '../../cli/printable.ts'
import {localTime} from '../../cli/render.ts'
import type {MaintenanceChange, MaintenanceState} from '../../client/admin-values.ts'

interface MaintenanceReport {
  readonly id: string
  readonly name: string
  readonly before: ReportedState | null
  readonly after: ReportedState | null
}

interface ReportedState {
  readonly reason: string
  readonly since: string
  readonly by: string
}

export default class ServiceMaintenance extends CellCommand {
  static override readonly summary =
    'Begin or end the maintenance of a service: it stays listed, but is not discovered.'
  static override readonly description =
    `The service keeps its health and its unique type, and renews itself as ever. Maintenance lasts through restarts of the registry and new registrations
of the same id; when the lease ends meanwhile, the service is critical but not removed. It ends with "off", and when the service is
deregistered. It is set over the cell of the registry (cell://DIR), not over its ZeroMQ ports, which know no users.`
  static override readonly exits = {3: 'no such service', 5: 'several have this name, or changes are refused'}
  static override readonly args = {
    state: Args.string({description: 'Whether it begins or ends.', options: ['on', 'off'], required: true}),
    id: Args.string({description: 'Id of the service, or its name if only one has it.', required: true}),
  }
  static override readonly examples = [
    {
      description: 'Take a camera from discovery while its lens is changed.',
      command: '<%= config.bin %> <%= command.id %> on cam1 --reason "new lens"',
    },
    {description: 'Give it back.', command: '<%= config.bin %> <%= command.id %> off cam1'},
  ]
  static override readonly flags = {
    reason: Flags.string({summary: 'Why, for whoever lists services; needed with "on".', helpValue: '<text>'}),
    ...cellFlags,
  }

  async run(): Promise<MaintenanceReport> {
    const {args, flags} = await this.parse(ServiceMaintenance)
    const isOn = args.state === 'on'
    if (isOn !== (flags.reason !== undefined)) throw reasonNeeded(isOn)
    await using admin = await this.openAdmin(flags)
    const change = await admin.setServiceMaintenance(args.id, flags.reason)
    return this.show(reportOf(change), () => textOf(change))
  }
}

function reasonNeeded(isOn: boolean): RegistryError {
  const text = isOn ? 'maintenance needs a reason' : 'the end of maintenance takes no reason'
  return new RegistryError('REG_USAGE', text, {
    hints: ['registry service maintenance on SERVICE --reason TEXT', 'registry service maintenance off SERVICE'],
  })
}

function reportOf({id, name, before, after}: MaintenanceChange): MaintenanceReport {
  return {id, name, before: before && reported(before), after: after && reported(after)}
}

function reported({reason, sinceMs, by}: MaintenanceState): ReportedState {
  return {reason, since: new Date(sinceMs).toISOString(), by}
}

function textOf({id, name, before, after}: MaintenanceChange): string {
  return printable(`service ${name} (${id})\nmaintenance  ${stateText(before)} -> ${stateText(after)}`, true)
}

function stateText(state: MaintenanceState | null): string {
  return state === null ? 'off' : `${state.reason} (since ${localTime(state.sinceMs)}, by ${state.by})`
}
