import {Args, Flags} from '@oclif/core'
import {BaseCommand} from '../cli/base-command.ts'
import {serveOclifFlags} from '../cli/serve-flags.ts'
import {type StartedRegistry, startText} from '../cli/start-text.ts'

export default class Serve extends BaseCommand {
  static override readonly summary = 'Run a registry on a data directory.'
  static override readonly description =
    `Runs in the foreground until SIGTERM or SIGINT, which answers what was taken and stops; a second one ends at once.
SIGHUP reads the configuration again. Values come from DIR/cell.yaml, the environment, these flags, and DIR/cell.mods.yaml, each
stronger than the one before; registry config explain tells more of each option.`
  static override readonly args = {
    dir: Args.string({description: 'Data directory. Without it: REGISTRY_DIR, else ~/.local/share/registry.'}),
  }
  static override readonly examples = [
    {description: 'Serve the default directory on the default ports.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'Serve another directory with the ports of a CGSE installation.',
      command: '<%= config.bin %> <%= command.id %> ./lab --zmq-req-port 6100 --zmq-pub-port 6101 --zmq-hb-port 6102',
    },
  ]
  static override readonly flags = serveOclifFlags(Flags)

  async run(): Promise<void> {
    const {args, flags} = await this.parse(Serve)
    const {serve} = await import('../server/serve.ts')
    const {runUntilStopped} = await import('../server/run-until-stopped.ts')
    await runUntilStopped(
      () => serve({dir: args.dir, flags}),
      (registry) => this.#announce(registry),
    )
  }

  #announce(registry: StartedRegistry): void {
    const {ports, bind, dir, restored} = registry
    if (this.jsonEnabled()) process.stdout.write(`${JSON.stringify({pid: process.pid, dir, bind, ports, restored})}\n`)
    else this.show(registry, startText)
  }
}
