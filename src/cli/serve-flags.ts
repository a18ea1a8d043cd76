import type {Interfaces, Flags as OclifFlags} from '@oclif/core'
import {serveFlags} from '../config/options.ts'

/** Makes oclif's flags of the option table. They have no default here: what is not given leaves the value to the other layers. */
export function serveOclifFlags(flags: typeof OclifFlags): Interfaces.FlagInput {
  return Object.fromEntries(
    serveFlags().map(({name, type, summary, defaultText, hidden}) => {
      const about = {summary: `${summary} Default: ${defaultText}.`, hidden}
      return [
        name,
        type === 'boolean' ? flags.boolean({...about, allowNo: true}) : flags.string({...about, helpValue: '<value>'}),
      ]
    }),
  )
}
