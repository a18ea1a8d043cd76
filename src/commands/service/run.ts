import {Flags} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {newServiceId} from '../../base/ids.ts'
import {registryFlags} from '../../cli/flags.ts'
import {RegistryCommand} from '../../cli/registry-command.ts'
import {infoFlags, infoOf, ttlSeconds} from '../../cli/service-flags.ts'
import {behindDashes, ownPart} from '../../cli/words.ts'

export default class ServiceRun extends RegistryCommand {
  static override readonly summary = 'Run a program and keep it registered for as long as it runs.'
  static override readonly description =
    `The program starts whether or not the registry is there, has this terminal, and finds its id in REGISTRY_SERVICE_ID.
It is registered, its lease renewed, and registered again when the registry lost it or comes back. At SIGTERM and SIGINT it is first taken out
of the registry, then gets the signal; other signals are passed on. The exit status is the program's. What the command has to say goes to
stderr; stdout is the program's, so there is no --json.`
  static override readonly usage = 'service run --name NAME --port PORT [FLAGS] -- PROGRAM [ARGUMENTS]'
  static override readonly enableJsonFlag = false
  static override readonly exits = {
    2: 'wrong usage, or the program cannot be started',
    3: 'and all others: the status of the program',
  }
  static override readonly examples = [
    {
      description: 'Run a camera server.',
      command:
        '<%= config.bin %> <%= command.id %> --name cam1 --type camera --port 5000 -- python3 -m http.server 5000',
    },
    {
      description: 'Start it only when it is registered, under a fixed id.',
      command: '<%= config.bin %> <%= command.id %> --name cam1 --id cam-east --port 5000 --require -- sleep 2',
    },
  ]
  static override readonly flags = {
    ...infoFlags,
    require: Flags.boolean({
      summary: 'Start the program only when it is registered; wait for the registry until then.',
    }),
    ...registryFlags,
  }

  async run(): Promise<void> {
    const program = behindDashes(this.argv)
    if (program.length === 0) throw missingProgram()
    const {flags} = await this.parse(ServiceRun, ownPart(this.argv))
    const info = infoOf(flags)
    const url = await this.chooseUrl('registry', flags)
    const {RegistryClient} = await import('../../client/registry-client.ts')
    const {runRegistered} = await import('../../cli/run-registered.ts')
    // Its calls must go on after a signal, to deregister: the signal of the command is not theirs.
    await using client = new RegistryClient(url, {name: `registry-run-${flags.name}`})
    process.exitCode = await runRegistered(client, {
      program,
      info: {...info, id: info.id ?? newServiceId(info.name)},
      host: flags.host,
      ttlS: ttlSeconds(flags.ttl),
      waitSignal: flags.require ? this.signal : undefined,
      say: (text) => this.say(text),
    })
  }
}

function missingProgram(): RegistryError {
  return new RegistryError('REG_USAGE', 'the program is missing: it stands behind --', {
    hints: ['registry service run --name cam1 --port 5000 -- python3 cam.py', 'registry help service run'],
  })
}
