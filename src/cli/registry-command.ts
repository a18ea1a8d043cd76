import type {RegistryClient} from '../client/registry-client.ts'
import {BaseCommand} from './base-command.ts'
import {durationFlag, registryFlags} from './flags.ts'

/** Flags of a command that asks a registry once. */
export const askFlags = {
  ...registryFlags,
  timeout: durationFlag({
    summary: 'Longest wait for an answer of the registry; 5s unless given.',
    helpGroup: 'REGISTRY',
  }),
}

interface Wish {
  readonly url?: string | undefined
  readonly dir?: string | undefined
  readonly timeout?: number | undefined
}

/** A command that talks to a registry. */
export abstract class RegistryCommand extends BaseCommand {
  /** Gives a client of the registry that the flags, or an argument, name; its calls end when the command is cancelled. */
  protected async connect(flags: Wish, argument?: string): Promise<RegistryClient> {
    const url = await this.chooseUrl('registry', flags, argument)
    const {RegistryClient} = await import('../client/registry-client.ts')
    return new RegistryClient(url, {timeoutMs: flags.timeout, signal: this.signal, name: 'registry-cli'})
  }
}
