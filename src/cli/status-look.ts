import type {RegistryClient} from '../client/registry-client.ts'
import type {ReadGroup} from './cell-status.ts'
import type {OpenedCell} from './open-cell.ts'
import type {LogCheck, RegistryStatus} from './status-report.ts'

/** Somebody whose status can be asked for, again and again. */
export interface Look extends AsyncDisposable {
  readonly look: () => Promise<RegistryStatus>
  /** Has it check its change log; undefined where it cannot, or not for who asks. */
  readonly check: () => Promise<LogCheck | undefined>
}

/** Looks at a registry by its ZeroMQ port. */
export async function lookAtRegistry(client: RegistryClient): Promise<Look> {
  const {readStatus} = await import('./registry-status.ts')
  return {look: () => readStatus(client), check: async () => undefined, [Symbol.asyncDispose]: () => client.close()}
}

/** Looks at a cell; the session is opened when it is first needed, and again when it is gone. */
export async function lookAtCell(
  open: () => Promise<OpenedCell>,
  signal: AbortSignal,
  group?: {readonly read: ReadGroup} & AsyncDisposable,
): Promise<Look> {
  const {readCellStatus} = await import('./cell-status.ts')
  let at: OpenedCell | undefined
  const close = async () => {
    await at?.cell.close()
    at = undefined
  }
  return {
    look: async () => {
      at ??= await open()
      return await readCellStatus(at.cell, at.url, signal, group?.read).catch(async (error: unknown) => {
        await close()
        throw error
      })
    },
    check: async () => {
      at ??= await open()
      const {readLogCheck} = await import('./log-check.ts')
      return await readLogCheck(at.cell, signal)
    },
    [Symbol.asyncDispose]: async () => {
      await close()
      await group?.[Symbol.asyncDispose]()
    },
  }
}
