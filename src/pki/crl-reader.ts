/**
 * Reads revocation lists in a thread of its own, for servers: pkijs takes a tenth of a millisecond and 25 kB for each entry of a list. The
 * thread lives as long as it is needed, and what it took goes with it.
 *
 *     await using reader = new CrlReader(authorities)
 *     const {signer, serials} = await reader.read(pem)
 */
import type {X509Certificate} from 'node:crypto'
import {once} from 'node:events'
import {Worker} from 'node:worker_threads'
import {messageOf} from '../base/errors.ts'
import {workerUrl} from '../base/package-root.ts'
import {badBytes} from './cert-files.ts'

/** What listeners need of a list. */
export interface ListOutline {
  /** The authority that signed it; undefined when it is none of those that are known. */
  readonly signer: X509Certificate | undefined
  readonly serials: readonly string[]
}

/** What the thread knows from its start on: authorities in DER form. */
export interface CrlReaderData {
  readonly cas: readonly Uint8Array[]
}

/** What the thread says to a list; `signer` is the place of the authority, -1 for none. */
export type CrlAnswer = {readonly signer: number; readonly serials: readonly string[]} | {readonly problem: string}

/** Twice of what the longest list that is read takes. A thread that needs more ends, and the process goes on. */
const MAX_MEMORY_MB = 1024

/** A thread that reads lists. */
export class CrlReader implements AsyncDisposable {
  readonly #worker: Worker
  readonly #cas: readonly X509Certificate[]
  readonly #gone: Promise<never>

  constructor(cas: readonly X509Certificate[]) {
    const workerData: CrlReaderData = {cas: cas.map(({raw}) => raw)}
    const resourceLimits = {maxOldGenerationSizeMb: MAX_MEMORY_MB}
    this.#cas = cas
    this.#worker = new Worker(workerUrl('pki/crl-worker'), {name: 'crl', workerData, resourceLimits, execArgv: []})
    this.#gone = new Promise((_, reject) => {
      this.#worker.once('error', reject)
      this.#worker.once('exit', (status) => reject(new Error(`its thread ended with ${status}`)))
    })
    this.#gone.catch(() => undefined) // told by `read`
  }

  /** Reads a list in PEM form; one at a time. @throws RegistryError `REG_CERT_INVALID` (`BadCertBytes`) */
  async read(pem: string): Promise<ListOutline> {
    this.#worker.postMessage(pem)
    const answer = await this.#answer()
    if ('problem' in answer) throw badBytes(answer.problem)
    return {signer: this.#cas[answer.signer], serials: answer.serials}
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }

  async #answer(): Promise<CrlAnswer> {
    try {
      const [answer]: CrlAnswer[] = await Promise.race([once(this.#worker, 'message'), this.#gone])
      if (answer !== undefined) return answer
    } catch (error) {
      throw badBytes(`it could not be read: ${messageOf(error)}`, error)
    }
    throw badBytes('it could not be read')
  }
}
