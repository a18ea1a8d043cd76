import type {KeepState, Kept} from '../client/keep.ts'
import {ownAddressTowards} from '../client/own-address.ts'
import type {RegistryClient} from '../client/registry-client.ts'
import type {ServiceInfo} from '../client/service-info.ts'
import {printable} from './printable.ts'
import {Program} from './run-program.ts'

export interface RunOptions {
  /** The program and its arguments. */
  readonly program: readonly string[]
  readonly info: Omit<ServiceInfo, 'host' | 'id'> & {readonly id: string}
  /** The address of this machine towards the registry when absent. */
  readonly host: string | undefined
  readonly ttlS: number | undefined
  /** Given: the program starts only when it is registered, and waiting for that ends when this aborts. */
  readonly waitSignal: AbortSignal | undefined
  readonly say: (text: string) => void
}

/**
 * Runs a program and keeps it registered for as long as it runs; gives its exit status. What goes wrong with the registry is said and
 * tried again, and never ends the program.
 */
export async function runRegistered(client: RegistryClient, options: RunOptions): Promise<number> {
  const {info, host, waitSignal} = options
  const say = (text: string) => options.say(printable(text))
  let kept: Kept | undefined
  const keep = () =>
    client.keep(
      {...info, host: host ?? ''},
      {
        ttlS: options.ttlS,
        host: host === undefined ? () => ownAddressTowards(client.address) : undefined,
        onState: talk(info.id, say),
      },
    )
  const takeOut = async () => {
    const isFirst = kept?.state.kind !== 'stopped'
    const error = await kept?.stop()
    if (error !== undefined && isFirst) say(`warning: not taken out, the lease will end by itself: ${error.message}`)
  }
  try {
    if (waitSignal !== undefined) {
      kept = keep()
      await kept.ready({signal: waitSignal})
      waitSignal.throwIfAborted() // it came just now: the program must not start
    }
    using program = await Program.start(options.program, {REGISTRY_SERVICE_ID: info.id}, takeOut)
    if (!program.isEnding) kept ??= keep()
    return await program.ended()
  } finally {
    await takeOut()
  }
}

/** Gives a listener that says what changed for the user, each thing once. */
function talk(id: string, say: (text: string) => void): (state: KeepState) => void {
  let last: KeepState['kind'] = 'registering'
  let wasRegistered = false
  return (state) => {
    const text = state.kind === last ? undefined : textOf(state, id, wasRegistered)
    if (text !== undefined) say(text)
    last = state.kind
    wasRegistered ||= state.kind === 'registered'
  }
}

function textOf(state: KeepState, id: string, wasRegistered: boolean): string | undefined {
  switch (state.kind) {
    case 'registered':
      return wasRegistered ? `registered again: ${id}` : `registered: ${id}`
    case 'lost':
      return 'warning: the registry does not have the entry any more'
    case 'away':
      return `warning: the registry is away, trying again: ${state.error.message}`
    case 'refused':
      return `warning: the registry refuses for now, trying again: ${state.error.message}`
    case 'failed':
      return `warning: the registry will not take it, the program is not registered: ${state.error.message}`
    case 'registering':
    case 'stopped':
      return undefined
  }
}
