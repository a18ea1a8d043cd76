import {RegistryError} from '../base/errors.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable} from '../wire/telepath/caller.ts'
import {type CellUser, fieldsOf, listOf, oddAnswer, readUser, timeOf} from './admin-values.ts'
import {hasMembers, type ListedMember, unpackMembers} from './members.ts'

/** Whom a one-time URL lets in; a `clone` is another member of the AHA itself. */
export type ProvisionKind = 'service' | 'user' | 'clone'

/** How long a one-time URL can be used: milliseconds, or for ever. */
export type UrlLife = number | 'never'

/** A service that is to be provisioned. What is undefined is left to AHA. */
export interface ServiceWish {
  /** Without the network. */
  readonly name: string
  /** Whose rights it has; AHA takes root. */
  readonly user?: string | undefined
  /** Name of the leader that it follows. */
  readonly mirror?: string | undefined
  readonly dmonPort?: number | undefined
  readonly httpsPort?: number | undefined
  /** More for its cell.yaml. */
  readonly conf?: Readonly<Record<string, Value>> | undefined
  readonly life?: UrlLife | undefined
}

/** Another member of an AHA that is to be made. What is undefined is left to AHA. */
export interface CloneWish {
  /** DNS name. */
  readonly host: string
  readonly port?: number | undefined
  readonly life?: UrlLife | undefined
}

/** A one-time URL as an AHA of this software lists it, without what it could be used by. */
export interface Provision {
  /** The first eight digits of its iden. */
  readonly id: string
  readonly kind: ProvisionKind
  readonly name: string
  readonly state: string
  /** Whose certificate it gives: `root@demo.net`. */
  readonly user: string | null
  readonly createdMs: number
  readonly creator: string
  /** Null: never. */
  readonly expiresMs: number | null
  readonly claimed: Contact | null
  readonly used: Contact | null
  readonly certificates: readonly ProvisionCertificate[]
}

/** When, and from which address. */
export interface Contact {
  readonly atMs: number
  readonly from: string
}

export interface ProvisionCertificate {
  readonly purpose: string
  readonly name: string
  readonly serial: string
  readonly issuedMs: number
  readonly from: string
}

/**
 * The one-time URLs of an AHA, ours or a real Synapse one: typed calls over an open session. All throw what the service answered, `REG_NOT_FOUND`
 * (`NoSuchMeth`) for what it cannot do, `REG_BAD_ANSWER` when its answer makes no sense, and as `Callable.call` does.
 */
export class AhaAdmin implements AsyncDisposable {
  readonly #cell: Callable & AsyncDisposable
  readonly #place: string
  readonly #signal: AbortSignal | undefined

  /** Takes the session over: disposing of this ends it. `place` names the AHA in error texts. */
  constructor(cell: Callable & AsyncDisposable, place: string, signal?: AbortSignal) {
    this.#cell = cell
    this.#place = place
    this.#signal = signal
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cell[Symbol.asyncDispose]()
  }

  /** Tells whether it can list its one-time URLs, and let them expire: a real AHA cannot. */
  get keepsBook(): boolean {
    return this.#cell.info.methods.has('getProvisions')
  }

  /** Gives the network that it provisions for. Throws `REG_CONFLICT` when the service is no AHA. */
  async network(): Promise<string> {
    const cell = fieldsOf(fieldsOf(await this.#call('getCellInfo'), 'getCellInfo')['cell'], 'cell')
    const network = fieldsOf(cell['aha'] ?? {}, 'aha')['network']
    if (typeof network === 'string' && this.#cell.info.methods.has('addAhaSvcProv')) return network
    throw new RegistryError('REG_CONFLICT', `the service at ${this.#place} is no AHA: it has no one-time URLs`, {
      hints: [`registry status ${this.#place}`, 'registry config explain dns:name'],
    })
  }

  /** Makes a one-time URL for a service. */
  async addService({name, user, mirror, dmonPort, httpsPort, conf, life}: ServiceWish): Promise<string> {
    this.#checkLife(life)
    const provinfo = {
      conf: {...conf, ...(user === undefined ? {} : {'aha:user': user})},
      mirror: mirror ?? null,
      ...(dmonPort === undefined ? {} : {'dmon:port': dmonPort}),
      ...(httpsPort === undefined ? {} : {'https:port': httpsPort}),
      ...this.#ownKeys(life),
    }
    return urlOf(await this.#call('addAhaSvcProv', name, provinfo))
  }

  /** Makes a one-time URL for a user, `again` when he may be there already. */
  async addUser(name: string, isAgain: boolean, life: UrlLife | undefined): Promise<string> {
    this.#checkLife(life)
    return urlOf(await this.#call('addAhaUserEnroll', name, this.#ownKeys(life), isAgain))
  }

  /** Makes a one-time URL for another member of the AHA: ours for one of this software, a Synapse one for one of that. */
  async addClone({host, port, life}: CloneWish): Promise<string> {
    this.#checkLife(life)
    const kwargs = {...(port === undefined ? {} : {port}), ...this.#ownKeys(life)}
    try {
      return urlOf(await this.#cell.call('addAhaClone', {...this.#options([host]), kwargs}))
    } catch (error) {
      throw withHints(error)
    }
  }

  /**
   * Finds a member of a cell of this software that could be forgotten.
   *
   * @throws RegistryError `REG_NOT_FOUND`; `REG_CONFLICT` when it is there, or the cell is a Synapse one
   */
  async awayMember(name: string): Promise<ListedMember> {
    if (!hasMembers(this.#cell)) {
      throw new RegistryError('REG_CONFLICT', 'a real Synapse AHA has no members that could be forgotten', {
        hints: ['registry status URL'],
      })
    }
    const members = unpackMembers(await this.#cell.call('getMembers', this.#options([])))
    const found = members.find((member) => member.name === name)
    const hints = ['registry status']
    if (found === undefined) {
      const text = `the cell has no member ${name}: it has ${members.map((member) => member.name).join(', ')}`
      throw new RegistryError('REG_NOT_FOUND', text, {info: {name}, hints})
    }
    if (!found.isOnline && found.role !== 'leads') return found
    throw new RegistryError('REG_CONFLICT', `${name} is there: only a member that is gone for good can be forgotten`, {
      info: {name},
      hints: ['stop it first, and remove its directory', ...hints],
    })
  }

  /** Takes a member that is gone for good out of a cell of this software, and gives its iden. */
  async forgetMember(name: string): Promise<string> {
    const {member} = fieldsOf(await this.#cell.call('forgetMember', this.#options([name])), 'forgetMember')
    if (typeof member !== 'string') throw oddAnswer('forgetMember', 'it names no member')
    return member
  }

  /** Gives all one-time URLs, or those whose iden begins so; the oldest first. */
  async provisions(beginning?: string): Promise<readonly Provision[]> {
    this.#reqBook('list its one-time URLs')
    const found: Provision[] = []
    try {
      for await (const value of this.#cell.stream('getProvisions', this.#options([beginning ?? null]))) {
        found.push(readProvision(value))
      }
    } catch (error) {
      throw withHints(error)
    }
    return found
  }

  /** Takes back what was not used yet, by its id. */
  async revoke(id: string): Promise<void> {
    await this.#call('delProvision', id)
  }

  /** Takes back what a whole URL leads to. It is not told whether that was still there. */
  async remove(iden: string): Promise<void> {
    await this.#call('delAhaSvcProv', iden)
    await this.#call('delAhaUserEnroll', iden)
  }

  /** Gives the user of this name; undefined when there is none. */
  async findUser(name: string): Promise<CellUser | undefined> {
    const value = await this.#call('getUserDefByName', name)
    return value === null ? undefined : readUser(value)
  }

  #ownKeys(life: UrlLife | undefined): Readonly<Record<string, Value>> {
    return life === undefined || !this.keepsBook ? {} : {expires: life}
  }

  #checkLife(life: UrlLife | undefined): void {
    if (life !== undefined && life !== 'never')
      this.#reqBook('let one-time URLs expire', ['registry help provision revoke'])
  }

  #reqBook(what: string, hints: readonly string[] = ['registry help provision revoke']): void {
    if (this.keepsBook) return
    throw new RegistryError(
      'REG_NOT_FOUND',
      `the AHA at ${this.#place} cannot ${what}: only one of this software can`,
      {
        telepath: 'NoSuchMeth',
        hints: [...hints, 'registry serve'],
      },
    )
  }

  async #call(method: string, ...args: readonly Value[]): Promise<Value> {
    try {
      return await this.#cell.call(method, this.#options(args))
    } catch (error) {
      throw withHints(error)
    }
  }

  #options(args: readonly Value[]) {
    return {args, ...(this.#signal === undefined ? {} : {signal: this.#signal})}
  }
}

/** What to do next, by the name of the error; the hints of the codes are about services. */
const HINTS: Readonly<Record<string, readonly string[]>> = {
  AuthDeny: ['ask an administrator of that AHA'],
  BadArg: ['registry help provision'],
  DupUserName: ['registry provision user NAME --again'],
  NeedConfValu: ['registry config explain provision:listen', 'registry config explain dmon:listen'],
  NoSuchName: ['registry provision list'],
  BadState: ['registry provision list'],
}

function withHints(error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error
  const {code, message, info, telepath, cause} = error
  // The AHA says which of its options stands in the way.
  const isForbidden = info['option'] === 'provision:service:root'
  const hints = isForbidden ? ['registry provision service NAME --user own'] : HINTS[telepath]
  return hints === undefined ? error : new RegistryError(code, message, {hints, info, telepath, cause})
}

function urlOf(value: Value): string {
  // It goes to terminals and into scripts as it is.
  if (typeof value === 'string' && /^[\x21-\x7e]{1,1024}$/.test(value)) return value
  throw oddAnswer('a one-time URL', 'it is no URL')
}

function readProvision(value: Value): Provision {
  const fields = fieldsOf(value, 'a one-time URL')
  const {kind, user, expires} = fields
  if (kind !== 'service' && kind !== 'user' && kind !== 'clone') throw oddAnswer('kind', 'it is not a known one')
  return {
    id: textIn(fields, 'id'),
    kind,
    name: textIn(fields, 'name'),
    state: textIn(fields, 'state'),
    user: typeof user === 'string' ? user : null,
    createdMs: timeOf(fields['created'], 'created'),
    creator: textIn(fields, 'creator'),
    expiresMs: expires === null || expires === undefined ? null : timeOf(expires, 'expires'),
    claimed: contactOf(fields['claimed']),
    used: contactOf(fields['used']),
    certificates: listOf(fields['certs'] ?? [], 'certs').map(readCertificate),
  }
}

function contactOf(value: Value): Contact | null {
  if (value === null || value === undefined) return null
  const fields = fieldsOf(value, 'a session')
  return {atMs: timeOf(fields['at'], 'at'), from: textIn(fields, 'from')}
}

function readCertificate(value: Value): ProvisionCertificate {
  const fields = fieldsOf(value, 'a certificate')
  const [purpose, name, serial, from] = ['purpose', 'name', 'serial', 'from'].map((key) => textIn(fields, key))
  return {
    purpose: purpose ?? '',
    name: name ?? '',
    serial: serial ?? '',
    issuedMs: timeOf(fields['issued'], 'issued'),
    from: from ?? '',
  }
}

function textIn(fields: Readonly<Record<string, Value>>, name: string): string {
  const value = fields[name]
  if (typeof value === 'string') return value
  throw oddAnswer(name, 'it is not a text')
}
