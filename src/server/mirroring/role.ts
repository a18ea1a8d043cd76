import {RegistryError} from '../../base/errors.ts'
import type {ChangeLog} from '../../nexus/change-log.ts'
import {isUnasked} from '../../registry/fence.ts'
import type {Lead} from '../../registry/lead.ts'

/** What this member of the cell is at present. Only one that leads takes changes of its own. */
export type Role =
  | {readonly kind: 'leads'}
  /** Undefined while its log does not say who leads. */
  | {readonly kind: 'follows'; readonly lead: Lead | undefined}
  /** It led, and asks the other members whether somebody else does now. `reason` says why, for people. */
  | {readonly kind: 'confirms'; readonly reason: string}
  /** It gives the lead to the member of this name. */
  | {readonly kind: 'closing'; readonly to: string}
  /**
   * Another member took the lead while this one led, and its log has what that one lacks, or may have. With `isRestored` this one was restored from a backup,
   * and never led.
   */
  | {
      readonly kind: 'fenced'
      readonly epoch: number
      readonly name: string
      readonly urls: readonly string[]
      readonly isRestored: boolean
    }
  /** `safemode` is set: it takes no changes and calls no other member. It stays so until it stops. */
  | {readonly kind: 'safe'}

/** Knows the role, and lets the change log take what fits it: own changes, those of the leader, or none. */
export class RoleKeeper {
  readonly #changes: Pick<ChangeLog, 'setSource'>
  readonly #listeners = new Set<(role: Role) => void>()
  #role: Role

  constructor(changes: Pick<ChangeLog, 'setSource'>, role: Role) {
    this.#changes = changes
    this.#role = role
    changes.setSource(sourceOf(role))
  }

  get role(): Role {
    return this.#role
  }

  /** Takes changes of its own. */
  get leads(): boolean {
    return this.#role.kind === 'leads'
  }

  /** The change log has its source before anybody hears of the role; who listens hears in the order in which they began to. */
  set(role: Role): void {
    if (this.#role.kind === 'safe') return // whatever others tell it
    this.#role = role
    this.#changes.setSource(sourceOf(role))
    for (const listener of this.#listeners) {
      if (this.#role !== role) return // one of them set another one, of which all have heard
      listener(role)
    }
  }

  /** Gives what ends the listening. */
  onChange(listener: (role: Role) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** Why a member asks who leads, for people. */
export function askingReason(lead: Pick<Lead, 'how'> | undefined): string {
  return lead !== undefined && isUnasked(lead)
    ? 'this member was restored from a backup, and asks the others whether one of them leads'
    : 'this member led before, and asks the others who leads now'
}

/** The peers' word for who leads; who is about to give the lead away does so until it is given. */
export function isActive({kind}: Role): boolean {
  return kind === 'leads' || kind === 'closing'
}

function sourceOf(role: Role): Parameters<ChangeLog['setSource']>[0] {
  switch (role.kind) {
    case 'leads':
      return {kind: 'own'}
    case 'follows':
      return {kind: 'replicated', reason: reasonOf(role)}
    case 'confirms':
    case 'closing':
      return {kind: 'none', code: 'REG_NOT_LEADER', reason: reasonOf(role)}
    case 'fenced':
      return {kind: 'none', code: 'REG_FENCED', reason: reasonOf(role)}
    case 'safe':
      return {kind: 'none', code: 'REG_READ_ONLY', reason: reasonOf(role)}
  }
}

/**
 * Refuses to answer for the cell where another member took the lead from this one: what it knows may be wrong.
 *
 * @throws RegistryError `REG_FENCED`
 */
export function assertCurrent(role: Role): void {
  const silence = silenceOf(role)
  if (silence === undefined || role.kind !== 'fenced') return
  const {name, urls, epoch} = role
  throw new RegistryError('REG_FENCED', silence, {info: {name, urls, epoch}})
}

/** Says why a member answers nothing for the cell; undefined when it does. */
export function silenceOf(role: Role): string | undefined {
  return role.kind === 'fenced' ? `this member answers nothing: ${reasonOf(role)}` : undefined
}

/** Says why a member takes no changes of its own. */
export function reasonOf(role: Exclude<Role, {readonly kind: 'leads'}>): string {
  switch (role.kind) {
    case 'follows':
      return `this member follows ${role.lead?.name ?? 'a leader that it has not reached yet'}, which takes the changes`
    case 'confirms':
      return role.reason
    case 'closing':
      return `the lead moves to ${role.to}`
    case 'fenced':
      return role.isRestored
        ? `${role.name} leads, in epoch ${role.epoch}, and this member was restored from a backup`
        : `${role.name} took the lead, since epoch ${role.epoch}`
    case 'safe':
      return 'safemode is set: this registry only shows what it has'
  }
}
