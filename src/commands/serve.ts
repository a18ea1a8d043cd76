import {Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {pathArg} from '../cli/flags.ts'
import {serveOclifFlags} from '../cli/serve-flags.ts'
import {type StartedRegistry, startText} from '../cli/start-text.ts'

export default class Serve extends BaseCommand {
  static override readonly summary = 'Run a registry on a data directory.'
  static override readonly description =
    `Runs in the foreground until SIGTERM or SIGINT, which answers what was taken and stops; a second one ends at once.
SIGHUP reads the configuration again. Values come from DIR/cell.yaml, the environment, these flags, and DIR/cell.mods.yaml, each
stronger than the one before; registry config explain tells more of each option.`
  static override readonly args = {
    dir: pathArg({description: 'Data directory. Without it: REGISTRY_DIR, else ~/.local/share/registry.'}),
  }
  static override readonly examples = [
    {description: 'Serve the default directory on the default ports.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'Serve another directory with the ports of a CGSE installation.',
      command: '<%= config.bin %> <%= command.id %> ./lab --zmq-req-port 6100 --zmq-pub-port 6101 --zmq-hb-port 6102',
    },
    {
      description: 'Take Telepath clients on loopback too, and no HTTPS.',
      command: '<%= config.bin %> <%= command.id %> ./lab --telepath tcp://127.0.0.1:27492 --https null',
    },
  ]
  static override readonly flags = serveOclifFlags(Flags)

  async run(): Promise<void> {
    const {args, flags} = await this.parse(Serve)
    const {serve} = await import('../server/serve.ts')
    const {runUntilStopped} = await import('../server/run-until-stopped.ts')
    await runUntilStopped(
      (signal) => serve({dir: args.dir, flags, signal}),
      (registry) => this.#announce(registry),
    )
  }

  #announce(registry: StartedRegistry): void {
    const {ports, bind, dir, restored, listeners} = registry
    const {telepath, provision, https} = listeners
    const started = {pid: process.pid, dir, bind, ports, telepath, provision, https, restored}
    if (this.jsonEnabled()) process.stdout.write(`${JSON.stringify(started)}\n`)
    else this.show(registry, startText)
  }
}
