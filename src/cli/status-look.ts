import type {RegistryClient} from '../client/registry-client.ts'
import type {TelepathProxy} from '../wire/telepath/caller.ts'
import type {RegistryStatus} from './status-report.ts'

/** Somebody whose status can be asked for, again and again. */
export interface Look extends AsyncDisposable {
  readonly look: () => Promise<RegistryStatus>
}

/** Looks at a registry by its ZeroMQ port. */
export async function lookAtRegistry(client: RegistryClient): Promise<Look> {
  const {readStatus} = await import('./registry-status.ts')
  return {look: () => readStatus(client), [Symbol.asyncDispose]: () => client.close()}
}

/** Looks at a cell; the session is opened when it is first needed, and again when it is gone. */
export async function lookAtCell(url: string, open: () => Promise<TelepathProxy>, signal: AbortSignal): Promise<Look> {
  const {readCellStatus} = await import('./cell-status.ts')
  let cell: TelepathProxy | undefined
  const close = async () => {
    await cell?.close()
    cell = undefined
  }
  return {
    look: async () => {
      cell ??= await open()
      return await readCellStatus(cell, url, signal).catch(async (error: unknown) => {
        await close()
        throw error
      })
    },
    [Symbol.asyncDispose]: close,
  }
}
