import {setTimeout} from 'node:timers/promises'
import {RegistryError} from '../base/errors.ts'
import {leadersOf, type Member, type MemberState, type Situation} from '../registry/leadership.ts'
import type {Value} from '../wire/msgpack/value.ts'
import type {Callable, TelepathProxy} from '../wire/telepath/caller.ts'
import {DEFAULT_PORT, parseUrl, sanitizeUrl} from '../wire/telepath/url.ts'
import {fieldsOf} from './admin-values.ts'
import {hasMembers, type ListedMember, unpackMembers} from './members.ts'
import type {AhaMember} from './telepath/aha.ts'
import type {TeleEnv} from './telepath/tele-env.ts'

/** The services of a cell, with the one that was asked among them. */
export interface ServiceGroup extends Situation {
  readonly iden: string
  /** Name that whoever leads has in AHA, without the network; null when there is none. */
  readonly leaderAlias: string | null
  /** Why AHA could not be asked for the others. */
  readonly error?: RegistryError
}

export interface GroupOptions {
  readonly signal: AbortSignal
  /** Longest wait for each of the other services; 5 000 when absent. */
  readonly timeoutMs?: number | undefined
  /** User to come to the other services as; the one that AHA names when absent. */
  readonly user?: string | undefined
  /** Where the service was asked, for what to type next; without a password. */
  readonly url?: string | undefined
}

const STEP_MS = 5000
/** The lead of a cell of ours moves within tens of milliseconds; the others find it within two seconds. */
const MOVES_WITHIN_MS = 3000
const LOOK_EVERY_MS = 100

/**
 * Asks a service what it is, AHA which others belong to its cell, and these, all at once, how far they are. One that cannot be asked is a member
 * with an error. Throws what the service itself answers.
 */
export async function readGroup(
  cell: Callable,
  env: Pick<TeleEnv, 'ofCell' | 'open'>,
  options: GroupOptions,
): Promise<ServiceGroup> {
  const own = await ask(cell, options)
  const {iden, runId, isNamed, leaderAlias} = own
  if (hasMembers(cell)) {
    const listed = await memberGroup(cell, own, options)
    if (listed !== undefined) return listed
  }
  const {listed, error} = isNamed ? await listOf(env, iden, options.signal) : {listed: []}
  const others = listed.filter((entry) => entry.runId !== runId)
  const mine = listed.find((entry) => entry.runId === runId)
  const me: Member = {...placeOf(own, mine), runId, state: own.state}
  const members = await Promise.all(others.map((entry) => askMember(entry, iden, env, options)))
  return {
    iden,
    leaderAlias,
    me,
    members: [me, ...members].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    isListed: mine !== undefined,
    isNamed,
    ...(error === undefined ? {} : {error}),
  }
}

/**
 * Looks at a cell of ours again while nobody leads it, for a moment: its lead may be moving just now, and who asks is not to take the leader for
 * gone. Gives what it saw last. Throws what `find` throws, and the reason of `signal`.
 */
export async function whenSettled(find: () => Promise<ServiceGroup>, signal: AbortSignal): Promise<ServiceGroup> {
  const late = AbortSignal.timeout(MOVES_WITHIN_MS)
  for (;;) {
    const group = await find()
    const {me, members, isFencing} = group
    const isMoving = isFencing === true && me.state?.problem === undefined && leadersOf(members).length === 0
    if (!isMoving || late.aborted) return group
    await setTimeout(LOOK_EVERY_MS, undefined, {signal}).catch(() => signal.throwIfAborted())
  }
}

/** The members of a cell of ours, as it tells; undefined when it has no others, or does not tell this user. */
async function memberGroup(cell: Callable, own: Own, {signal, timeoutMs = STEP_MS, url}: GroupOptions) {
  const listed = await cell.call('getMembers', {signal, timeoutMs}).then(unpackMembers, (error: unknown) => {
    if (error instanceof RegistryError && error.code === 'REG_DENIED') return []
    throw error
  })
  if (listed.length < 2) return undefined
  const leader = listed.find(({role}) => role === 'leads')?.name ?? 'a leader that is not known'
  // One that was fenced has no links with the others.
  const isApart = listed.some(({isSelf, role}) => isSelf && role === 'fenced')
  const members = listed.map((one) => ({
    ...memberOf(one, own, leader),
    ...(one.isSelf && url !== undefined ? {url} : {}),
    ...(isApart && !one.isSelf ? {isOnline: true, isSaidToLead: one.role === 'leads'} : {}),
  }))
  const [me] = members
  if (me === undefined) return undefined
  const {iden, leaderAlias} = own
  const sorted = members.toSorted((one, other) => (one.name < other.name ? -1 : 1))
  return {iden, leaderAlias, me, members: sorted, isListed: true, isNamed: true, isFencing: true}
}

function memberOf(listed: ListedMember, own: Own, leader: string): Member {
  const {name, urls, isSelf, isOnline} = listed
  const [url] = urls
  return {
    name,
    shortName: name,
    runId: isSelf ? own.runId : null,
    address: url === undefined ? null : addressOf(url),
    url,
    isOnline,
    isPromotable: true,
    state: isOnline
      ? {...stateOfListed(listed, leader), ...(isSelf ? {startedMs: own.state.startedMs} : {})}
      : undefined,
  }
}

function stateOfListed(listed: ListedMember, leader: string): MemberState {
  const {role, isReady, isOnline, nextOffset, version, name, fenceEpoch, reason} = listed
  const isActive = role === 'leads' || role === 'closing'
  const problem = {
    fenced: `${name} is fenced: ${reason ?? `${leader} took the lead`}`,
    confirms: `${name} does not lead yet: ${reason ?? 'it asks the others who leads'}`,
  }
  return {
    isActive,
    isReady: isReady !== false && role !== 'fenced',
    hasUplink: isActive || isOnline,
    isReadOnly: !isActive,
    nexusIndex: nextOffset ?? 0,
    mirror: isActive ? null : leader,
    version: version ?? '',
    synapseVersion: '',
    startedMs: null,
    problem: role === 'fenced' || role === 'confirms' ? problem[role] : undefined,
    outranked: fenceEpoch === null ? undefined : {leader, epoch: fenceEpoch},
  }
}

function addressOf(url: string): string {
  const {host, port} = parseUrl(url)
  return `${host}:${port ?? DEFAULT_PORT}`
}

interface Own {
  readonly iden: string
  readonly runId: string
  readonly name: string
  readonly shortName: string
  readonly isNamed: boolean
  readonly leaderAlias: string | null
  readonly state: MemberState
}

async function listOf(
  env: Pick<TeleEnv, 'ofCell'>,
  iden: string,
  signal: AbortSignal,
): Promise<{readonly listed: readonly AhaMember[]; readonly error?: RegistryError}> {
  try {
    const listed = await env.ofCell(iden, signal)
    if (listed.length > 0) return {listed}
    return {listed, error: new RegistryError('REG_NOT_FOUND', `no AHA knows the cell ${iden}`, {hints: NO_LIST})}
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code === 'REG_CANCELLED') throw error
    return {listed: [], error}
  }
}

const NO_LIST = ['registry enroll URL', 'name the AHA servers in ~/.syn/telepath.yaml']

function placeOf({name, shortName}: Own, mine: AhaMember | undefined) {
  return {
    name: mine?.name ?? name,
    shortName: mine?.shortName ?? shortName,
    address: mine?.address ?? null,
    isOnline: mine?.isOnline ?? true,
    isPromotable: mine?.isPromotable ?? true,
    ...(mine?.fence === undefined ? {} : {fence: mine.fence}),
  }
}

async function askMember(
  entry: AhaMember,
  iden: string,
  env: Pick<TeleEnv, 'open'>,
  options: GroupOptions,
): Promise<Member> {
  const {runId = null, address = null, ...said} = entry
  const member = {...said, runId, address}
  const {name} = member
  if (!member.isOnline) return {...member, state: undefined}
  try {
    const {timeoutMs = STEP_MS, signal, user} = options
    const url = `aha://${user === undefined ? '' : `${encodeURIComponent(user)}@`}${name}`
    await using proxy: TelepathProxy = await env.open(url, {connectMs: timeoutMs, timeoutMs, signal, spareLinks: 0})
    const told = await ask(proxy, options)
    if (told.iden !== iden) throw otherCell(name, told.iden, iden)
    return {...member, runId: told.runId, state: told.state}
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code === 'REG_CANCELLED') throw error
    return {...member, state: undefined, error}
  }
}

async function ask(cell: Callable, {signal, timeoutMs}: GroupOptions): Promise<Own> {
  const limit = timeoutMs === undefined ? {} : {timeoutMs}
  return ownOf(await cell.call('getCellInfo', {signal, ...limit}))
}

function ownOf(value: Value): Own {
  const info = fieldsOf(value, 'getCellInfo')
  const about = fieldsOf(info['cell'], 'cell')
  const aha = fieldsOf(about['aha'] ?? {}, 'aha')
  const [name, network, leader] = [aha['name'], aha['network'], aha['leader']].map(textOf)
  const iden = textOf(about['iden']) ?? ''
  const type = textOf(about['type']) ?? 'cell'
  return {
    iden,
    runId: textOf(about['run']) ?? '',
    name: name === undefined || network === undefined ? `${type} ${iden.slice(0, 8)}` : withNetwork(name, network),
    shortName: name ?? type,
    isNamed: name !== undefined && network !== undefined,
    leaderAlias: leader ?? null,
    state: stateOf(about, fieldsOf(info['synapse'] ?? {}, 'synapse')),
  }
}

function stateOf(about: Readonly<Record<string, Value>>, synapse: Readonly<Record<string, Value>>): MemberState {
  const {active, ready, uplink, nexsindx, mirror, started, verstring} = about
  const nexus = fieldsOf(about['nexus'] ?? {}, 'nexus')
  const url = textOf(mirror)
  return {
    isActive: active === true,
    isReady: ready !== false,
    hasUplink: uplink !== false,
    isReadOnly: nexus['readonly'] === true,
    nexusIndex: Number(nexsindx ?? 0),
    mirror: url === undefined ? null : sanitizeUrl(url),
    version: textOf(verstring) ?? '',
    synapseVersion: textOf(synapse['verstring']) ?? '',
    startedMs: typeof started === 'number' ? started : null,
  }
}

function withNetwork(name: string, network: string): string {
  return name.endsWith(`.${network}`) ? name : `${name}.${network}`
}

function textOf(value: Value): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function otherCell(name: string, told: string, iden: string): RegistryError {
  return new RegistryError('REG_CONFLICT', `${name} is of another cell: ${told}, not ${iden}`, {
    info: {name, iden: told},
    hints: [`registry status aha://${name}`],
  })
}
