import type {Clock} from '../base/clock.ts'
import type {ChangeLog} from '../nexus/change-log.ts'
import type {Replayed, ReplayedChange} from '../nexus/replication.ts'
import {decodeLogChange, encodeLogChange, isLogKind, type LogChange} from '../registry/log-change.ts'
import type {Effect, Store} from '../store/store.ts'

export interface LogKeeperPorts {
  readonly store: Pick<Store, 'firstOffset'>
  readonly changeLog: Pick<ChangeLog, 'assertOpen' | 'propose' | 'join' | 'nextOffset'>
  readonly clock: Pick<Clock, 'wallMs'>
  /** The entries up to an offset are gone. */
  readonly onCulled?: (offset: number) => void
}

/** Rotates the change log, and drops its oldest entries: by entries of its own, so that every mirror does the same at the same place. */
export class LogKeeper {
  readonly #ports: LogKeeperPorts

  constructor(ports: LogKeeperPorts) {
    this.#ports = ports
    ports.changeLog.join({onReset: () => undefined, replay: (change) => replayed(change, ports.onCulled)})
  }

  /**
   * Begins a new segment after an entry of its own; gives the offset that the segment begins with.
   *
   * @throws RegistryError `REG_READ_ONLY`, `REG_NOT_LEADER`, `REG_BUSY`, `REG_STORE_FAILED`; the change did not happen
   */
  async rotate(actor: string): Promise<number> {
    return (await this.#change({kind: 'log:rotate'}, actor)) + 1
  }

  /**
   * Drops the entries up to and including `offset`. Gives false, and changes nothing, when they are gone already, or the newest would go. Throws as
   * `rotate`.
   */
  async cull(offset: number, actor: string): Promise<boolean> {
    const {store, changeLog} = this.#ports
    if (offset < (await store.firstOffset()) || offset >= changeLog.nextOffset) return false
    await this.#change({kind: 'log:cull', offset}, actor)
    this.#ports.onCulled?.(offset)
    return true
  }

  async #change(change: LogChange, actor: string): Promise<number> {
    const {changeLog, clock} = this.#ports
    changeLog.assertOpen()
    const entry = {timeMs: clock.wallMs(), actor, change: encodeLogChange(change), effect: effectOf(change)}
    return await new Promise((committed, failed) => changeLog.propose({entry, committed, failed}))
  }
}

function replayed(
  {kind, change: text, offset}: ReplayedChange,
  onCulled: LogKeeperPorts['onCulled'],
): Replayed | undefined {
  if (!isLogKind(kind)) return undefined
  const change = decodeLogChange(text)
  if (change.kind === 'log:cull' && change.offset >= offset) throw new TypeError('it would drop itself')
  const committed = (): void => {
    if (change.kind === 'log:cull') onCulled?.(change.offset)
  }
  return {effect: effectOf(change), committed, failed: () => undefined}
}

function effectOf(change: LogChange): Effect {
  return change.kind === 'log:rotate' ? {kind: 'rotate'} : {kind: 'cull', offset: change.offset}
}
