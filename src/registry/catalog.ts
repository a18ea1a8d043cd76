import {Group, type Strategy} from './group.ts'
import type {Health, Instance} from './instance.ts'
import type {Maintenance} from './maintenance.ts'

/**
 * All instances that are visible, with an index by id, name and label (type or tag). Pure bookkeeping in memory: no I/O, no clock.
 *
 * Order of lists is the order of first registration. Time per `get`, `pick`, `renew` does not grow with the number of instances.
 */
export class Catalog {
  /** How `pick` chooses; may be changed at any time. */
  strategy: Strategy
  readonly #extraLabel: ((name: string) => string | undefined) | undefined
  readonly #byId = new Map<string, Instance>()
  readonly #byLabel = new Map<string, Group>()
  /** Most names belong to one instance: a set only where they do not. */
  readonly #byName = new Map<string, Instance | Set<Instance>>()
  /** The groups of each combination of labels that is in use: most instances share theirs with many. */
  readonly #shared = new Map<string, {readonly groups: readonly Group[]; instances: number}>()
  #version = 0
  #critical = 0
  #maintained = 0

  /** `extraLabel` gives a label that instances of a name have besides their own. */
  constructor(strategy: Strategy = 'random', extraLabel?: (name: string) => string | undefined) {
    this.strategy = strategy
    this.#extraLabel = extraLabel
  }

  get size(): number {
    return this.#byId.size
  }

  /** How many instances are critical. */
  get critical(): number {
    return this.#critical
  }

  /** How many instances are in maintenance. */
  get maintained(): number {
    return this.#maintained
  }

  /** Rises with every change of any instance. */
  get version(): number {
    return this.#version
  }

  get(id: string): Instance | undefined {
    return this.#byId.get(id)
  }

  /** Gives all instances, in order of first registration. */
  all(): Iterable<Instance> {
    return this.#byId.values()
  }

  /** Gives the instances with this type or tag; undefined when there are none. */
  labelled(label: string): Group | undefined {
    return this.#byLabel.get(label)
  }

  /** Gives the labels in use that begin with this. Takes as long as there are labels. */
  labelsFrom(start: string): string[] {
    return [...this.#byLabel.keys()].filter((label) => label.startsWith(start))
  }

  /** Gives the instances of this name, in no particular order. */
  named(name: string): readonly Instance[] {
    const found = this.#byName.get(name)
    if (found === undefined) return []
    return found instanceof Set ? [...found] : [found]
  }

  /** Takes an instance in; one with the same id gives its place to it. */
  put(instance: Instance, labels: readonly string[]): void {
    const old = this.#byId.get(instance.id)
    if (old !== undefined) this.#markGone(old)
    this.#byId.set(instance.id, instance)
    if (instance.isMaintained) this.#maintained += 1
    this.#addName(instance)
    const groups = this.#groupsOf(this.#withExtra(instance, labels))
    instance.groups = groups
    for (const group of groups) group.add(instance, old?.groups.includes(group) === true ? old : undefined)
    if (old !== undefined) this.#leaveGroups(old, groups)
    this.#version += 1
  }

  /** Takes an instance out; does nothing when it is no longer the one with its id. */
  remove(instance: Instance): void {
    if (this.#byId.get(instance.id) !== instance) return
    this.#byId.delete(instance.id)
    this.#markGone(instance)
    this.#leaveGroups(instance, [])
    this.#version += 1
  }

  /** Notes a renewal: whole epoch second for people, lease time for the lease. Returns true when the instance was critical before. */
  renew(instance: Instance, lastHeartbeatS: number, leaseMs: number): boolean {
    instance.renewedMs = leaseMs
    const wasCritical = instance.health === 'critical'
    if (instance.lastHeartbeatS !== lastHeartbeatS || wasCritical) {
      instance.lastHeartbeatS = lastHeartbeatS
      this.#touch(instance)
    }
    if (wasCritical) this.setHealth(instance, 'passing')
    return wasCritical
  }

  setHealth(instance: Instance, health: Health): void {
    if (instance.health === health) return
    const wasDiscoverable = instance.isDiscoverable
    instance.health = health
    this.#critical += health === 'critical' ? 1 : -1
    this.#regroup(instance, wasDiscoverable)
  }

  /** Begins the maintenance of an instance, or ends it with undefined. */
  setMaintenance(instance: Instance, maintenance: Maintenance | undefined): void {
    const wasDiscoverable = instance.isDiscoverable
    this.#maintained += Number(maintenance !== undefined) - Number(instance.isMaintained)
    instance.maintenance = maintenance
    this.#regroup(instance, wasDiscoverable)
  }

  /** Picks a discoverable instance with the label, and with the tag if one is given. `random` gives numbers from 0 to below 1. */
  pick(label: string, tag: string | undefined, random: () => number): Instance | undefined {
    const group = this.#byLabel.get(label)
    if (tag === undefined) return group?.pick(this.strategy, random)
    const tagged = this.#byLabel.get(tag)
    if (group === undefined || tagged === undefined) return undefined
    const [few, other] = group.size < tagged.size ? [group, tagged] : [tagged, group]
    const both = few.discoverable().filter((instance) => other.has(instance))
    return both[Math.floor(random() * both.length)]
  }

  #regroup(instance: Instance, wasDiscoverable: boolean): void {
    for (const group of instance.groups) {
      if (instance.isDiscoverable && !wasDiscoverable) group.join(instance)
      else if (wasDiscoverable && !instance.isDiscoverable) group.leave(instance)
    }
    this.#touch(instance)
  }

  #touch(instance: Instance): void {
    this.#version += 1
    for (const group of instance.groups) group.version += 1
  }

  #withExtra(instance: Instance, labels: readonly string[]): readonly string[] {
    const extra = instance.isLeased ? this.#extraLabel?.(instance.name) : undefined
    return extra === undefined ? labels : [...labels, extra]
  }

  #groupsOf(labels: readonly string[]): readonly Group[] {
    const key = labels.join(SEPARATOR)
    let shared = this.#shared.get(key)
    if (shared === undefined) {
      shared = {groups: labels.map((label) => this.#groupOf(label)), instances: 0}
      this.#shared.set(key, shared)
    }
    shared.instances += 1
    return shared.groups
  }

  #groupOf(label: string): Group {
    let group = this.#byLabel.get(label)
    if (group === undefined) {
      group = new Group(label)
      this.#byLabel.set(label, group)
    }
    return group
  }

  #addName(instance: Instance): void {
    const found = this.#byName.get(instance.name)
    if (found === undefined) this.#byName.set(instance.name, instance)
    else if (found instanceof Set) found.add(instance)
    else this.#byName.set(instance.name, new Set([found, instance]))
  }

  #removeName(instance: Instance): void {
    const found = this.#byName.get(instance.name)
    if (found instanceof Set) found.delete(instance)
    if (found === instance || (found instanceof Set && found.size === 0)) this.#byName.delete(instance.name)
  }

  #markGone(instance: Instance): void {
    instance.isGone = true
    if (instance.health === 'critical') this.#critical -= 1
    if (instance.isMaintained) this.#maintained -= 1
    this.#removeName(instance)
  }

  /** Takes an instance out of its groups, but for those in which another has its place already. */
  #leaveGroups(instance: Instance, kept: readonly Group[]): void {
    for (const group of instance.groups) {
      if (kept.some((one) => one === group)) continue
      group.remove(instance)
      if (group.size === 0) this.#byLabel.delete(group.key)
    }
    const key = instance.groups.map((group) => group.key).join(SEPARATOR)
    const shared = this.#shared.get(key)
    if (shared === undefined) return
    shared.instances -= 1
    if (shared.instances === 0) this.#shared.delete(key)
  }
}

/** Stands between labels, which have no control characters. */
const SEPARATOR = '\n'
