import {RegistryError} from '../../src/base/errors.ts'
import {newServiceId} from '../../src/base/ids.ts'
import {type ClientOptions, RegistryClient} from '../../src/client/registry-client.ts'
import type {CallOptions, RegisterOptions, ServiceInfo} from '../../src/client/service-info.ts'

/** A machine may be busy for seconds; what a test waits for in vain is ended by the test's own limit. */
export const PATIENT = {connectMs: 150_000, timeoutMs: 150_000} as const

/**
 * A client for tests that look at something else than the disk: it asks again when the registry says so, because an answer has to come within half a
 * second and a busy disk may take longer.
 */
export class PatientClient extends RegistryClient {
  constructor(url: string, options: ClientOptions = {}) {
    super(url, {...PATIENT, ...options})
  }

  /** Under an id that is known from the start: asking again makes no second entry. */
  override register(info: ServiceInfo, options: RegisterOptions = {}): Promise<string> {
    const identified = {...info, id: info.id ?? newServiceId(info.name)}
    return untilConfirmed(() => super.register(identified, options))
  }

  override renew(id: string, options: CallOptions = {}): Promise<void> {
    return untilConfirmed(() => super.renew(id, options))
  }

  override deregister(id: string, options: CallOptions = {}): Promise<void> {
    return untilConfirmed(async (isAgain) => {
      try {
        await super.deregister(id, options)
      } catch (error) {
        if (!isAgain || codeOf(error) !== 'REG_NOT_FOUND') throw error
      }
    })
  }
}

async function untilConfirmed<Result>(ask: (isAgain: boolean) => Promise<Result>): Promise<Result> {
  for (let isAgain = false; ; isAgain = true) {
    try {
      return await ask(isAgain)
    } catch (error) {
      if (codeOf(error) !== 'REG_NOT_CONFIRMED') throw error
    }
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof RegistryError ? error.code : undefined
}
