import type {Clock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import type {CertDir} from '../pki/cert-dir.ts'
import {isAlias, onlineOf} from '../registry/aha-entry.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {AhaFences} from './aha-fences.ts'
import type {AhaPools} from './aha-pools.ts'
import type {AhaServices} from './aha-services.ts'
import type {TicketDesk} from './ticket-desk.ts'

export interface AhaReportPorts {
  readonly services: Pick<AhaServices, 'network' | 'list'>
  readonly fences: Pick<AhaFences, 'list'>
  readonly pools: Pick<AhaPools, 'list'>
  readonly tickets: Pick<TicketDesk, 'list'>
  readonly certs: Pick<CertDir, 'certificate'>
  /** Certificates of the AHA itself. */
  readonly own: readonly OwnCertificate[]
  readonly clock: Pick<Clock, 'wallMs'>
}

export interface OwnCertificate {
  readonly purpose: 'ca' | 'host' | 'user'
  readonly name: string
}

/** Whoever may log in may ask; files are not read again for each who does. */
const CERTS_KEPT_MS = 10_000

/** Tells in figures how an AHA is: what it knows, and what somebody has to do. */
export class AhaReport {
  readonly #ports: AhaReportPorts
  #ending: {readonly atMs: number; readonly certs: Promise<readonly Value[]>} | undefined

  constructor(ports: AhaReportPorts) {
    this.#ports = ports
  }

  /** A service counts once, whatever names it has. Times are epoch milliseconds. */
  async read(): Promise<Value> {
    const {services, fences, pools, tickets} = this.#ports
    const entries = services.list().filter((entry) => !isAlias(entry))
    const states = tickets.list().map(({state}) => state)
    const count = (wanted: string) => states.filter((state) => state === wanted).length
    return {
      network: services.network,
      services: {all: entries.length, online: entries.filter((entry) => onlineOf(entry) !== undefined).length},
      fences: [...fences.list()],
      pools: pools.list().length,
      provisions: {pending: count('pending'), claimed: count('claimed')},
      ending: [...(await this.#endingCerts())],
    }
  }

  #endingCerts(): Promise<readonly Value[]> {
    const nowMs = this.#ports.clock.wallMs()
    const kept = this.#ending
    if (kept !== undefined && Math.abs(nowMs - kept.atMs) < CERTS_KEPT_MS) return kept.certs
    const certs = this.#readCerts(nowMs)
    this.#ending = {atMs: nowMs, certs}
    return certs
  }

  /** Those that `registry cert renew` would renew. One that cannot be read is told of where it is used. */
  async #readCerts(nowMs: number): Promise<readonly Value[]> {
    const {factsOf} = await import('../pki/certificate-facts.ts')
    const {dueMs} = await import('../pki/renewal.ts')
    const ending: Value[] = []
    for (const {purpose, name} of this.#ports.own) {
      const certificate = await this.#ports.certs.certificate(purpose, name).catch(onlyOurs)
      const facts = certificate === undefined ? undefined : factsOf(certificate)
      if (facts !== undefined && dueMs(facts) <= nowMs) ending.push({kind: purpose, name, ends: facts.notAfterMs})
    }
    return ending
  }
}

function onlyOurs(error: unknown): undefined {
  if (!(error instanceof RegistryError)) throw error
}
