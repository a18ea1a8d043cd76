import {Args, Flags} from '@oclif/core'
import {DURATION_FORM, formatDuration, parseDuration} from '../base/duration.ts'
import {RegistryError} from '../base/errors.ts'

/** A flag that takes a duration and gives milliseconds. Help shows its default as one would type it. */
export const durationFlag = Flags.custom<number>({
  helpValue: '<duration>',
  defaultHelp: async ({options: {default: ms}}) => (typeof ms === 'number' ? formatDuration(ms) : undefined),
  parse: async (input) => {
    const ms = parseDuration(input)
    if (ms === undefined) throw new RegistryError('REG_USAGE', `"${input}" is not a duration: ${DURATION_FORM}`)
    return ms
  },
})

/** An empty word is a variable of a script that nobody set; as a path it would be the directory that the command is run in. */
async function notEmpty(input: string): Promise<string> {
  if (input === '') throw new RegistryError('REG_USAGE', 'an empty word was given: is a variable not set?')
  return input
}

/** A flag that takes the path of a file or directory, or a name, which is not empty. */
export const pathFlag = Flags.custom<string>({parse: notEmpty})

/** An argument that is the path of a file or directory. */
export const pathArg = Args.custom<string>({parse: notEmpty})

/** The flags of every command that talks to a registry. */
export const registryFlags = {
  url: Flags.string({
    summary:
      'Registry to talk to. Without it: REGISTRY_URL, else the server that runs on the data directory, else zmq://127.0.0.1:5556.',
    helpValue: 'zmq://HOST:PORT',
    helpGroup: 'REGISTRY',
  }),
  dir: Flags.string({
    summary: 'Data directory whose server to talk to. Without it: REGISTRY_DIR, else ~/.local/share/registry.',
    helpValue: '<directory>',
    helpGroup: 'REGISTRY',
  }),
}

/** Flag of a command about what belongs to a user. */
export const userFlag = {
  user: Flags.string({summary: 'Whose; your own unless given.', helpValue: '<name>'}),
}
