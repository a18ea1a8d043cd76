/** The methods of the cell for the services of the registry: our own, which no peer has. */
import {RegistryError} from '../base/errors.ts'
import {type CellMethod, method, optional, required} from './cell-method.ts'

/** Rows of the table of methods: the registry behind the cell. */
export const SERVICE_METHODS = {
  getRegistryInfo: method({kind: 'login'}, [], async ({parts: {registry, aha}}) => {
    const info = registry.info()
    return aha === undefined ? info : {...info, aha: await aha.report.read()}
  }),
  setServiceMaintenance: method(
    {kind: 'admin'},
    [required('service'), required('on'), optional('reason')],
    (call) => {
      const isOn = call.boolean('on')
      const reason = call.optionalText('reason')
      if (isOn && reason === undefined) throw new RegistryError('REG_BAD_REQUEST', 'maintenance needs a reason')
      return call.parts.registry.setMaintenance(call.text('service'), isOn ? reason : undefined, call.actor)
    },
    {isLogged: true, isWrite: true},
  ),
} as const satisfies Record<string, CellMethod>
