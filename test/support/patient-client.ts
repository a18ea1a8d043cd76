import {isDeepStrictEqual} from 'node:util'
import {RegistryError} from '../../src/base/errors.ts'
import {newServiceId} from '../../src/base/ids.ts'
import {type ClientOptions, RegistryClient} from '../../src/client/registry-client.ts'
import type {CallOptions, RegisterOptions, ServiceInfo} from '../../src/client/service-info.ts'

/** A machine may be busy for seconds; what a test waits for in vain is ended by the test's own limit. */
export const PATIENT = {connectMs: 150_000, timeoutMs: 150_000} as const

/** No lease ends because the machine is slow. */
const LONG_S = 36_000

/**
 * A client for tests that look at something else than the disk: an answer has to come within half a second, and a disk may be busy for longer. What is
 * not confirmed then is waited for and not asked for again, so that the log has it once.
 */
export class PatientClient extends RegistryClient {
  constructor(url: string, options: ClientOptions = {}) {
    super(url, {...PATIENT, ...options})
  }

  /** For a time that no test takes, unless the options say otherwise. */
  override async register(info: ServiceInfo, options: RegisterOptions = {}): Promise<string> {
    const [id, ttlS] = [info.id ?? newServiceId(info.name), options.ttlS ?? LONG_S]
    await confirmed(
      () => super.register({...info, id}, {...options, ttlS}),
      () => this.#stands({...info, id}, ttlS),
    )
    return id
  }

  override deregister(id: string, options: CallOptions = {}): Promise<void> {
    return confirmed(
      () => super.deregister(id, options),
      async () => (await this.list()).every((entry) => entry.id !== id),
    )
  }

  async #stands(info: ServiceInfo, ttlS: number): Promise<boolean> {
    const entry = (await this.list()).find(({id}) => id === info.id)
    if (entry === undefined) return false
    const {tags = [], metadata = {}, name, host, port} = info
    return (
      isDeepStrictEqual([entry.name, entry.host, entry.port, entry.ttlS], [name, host, port, ttlS]) &&
      tags.every((tag) => entry.tags.includes(tag)) &&
      Object.entries(metadata).every(([key, value]) => isDeepStrictEqual(entry.metadata[key], value))
    )
  }
}

/** Makes a change, and waits until it is there when it is not known in time what becomes of it. */
async function confirmed(change: () => Promise<unknown>, isThere: () => Promise<boolean>): Promise<void> {
  try {
    await change()
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'REG_NOT_CONFIRMED') throw error
    while (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
