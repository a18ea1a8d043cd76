/**
 * Makes a mirror again of a member whose log went apart from that of the leader: finds who leads and where the two logs part, keeps the entries that only
 * this one has in a file, and takes a copy of the leader's store. The old store stays in its place until the copy is whole.
 */
import {stat} from 'node:fs/promises'
import {join} from 'node:path'
import {messageOf, RegistryError, systemCode} from '../../base/errors.ts'
import type {Log} from '../../base/log.ts'
import {type CellDir, lockCellDir} from '../../cell/dirs.ts'
import {type ListedMember, unpackMembers} from '../../client/members.ts'
import type {OpenOptions} from '../../client/telepath/open-url.ts'
import {LogReaders} from '../../nexus/log-reader.ts'
import {saveLostEntries} from '../../nexus/lost-entries.ts'
import {findParting, type Parting} from '../../nexus/parting.ts'
import {changeKind} from '../../registry/change-kind.ts'
import type {Fence} from '../../registry/fence.ts'
import type {Lead, LeadState} from '../../registry/lead.ts'
import {adoptStore, verifyStoreFile} from '../../store/adopt.ts'
import {SqliteStore} from '../../store/sqlite.ts'
import type {Entry, Store, StoreHead} from '../../store/store.ts'
import type {TelepathProxy} from '../../wire/telepath/caller.ts'
import {sanitizeUrl} from '../../wire/telepath/url.ts'
import {assertCell, fetchCopy, placeCopy} from './copy.ts'
import {FenceFile} from './fence-file.ts'
import {readLeadState} from './lead-ledger.ts'
import {unpackPlace} from './lead-messages.ts'

export interface RejoinPorts {
  readonly dir: string
  /** Opens a URL of a member, with the certificate of a member. */
  readonly open: (url: string, options: OpenOptions) => Promise<TelepathProxy>
  /** Ends what `open` keeps. */
  readonly close: () => Promise<void>
  readonly log: Pick<Log, 'info' | 'warning'>
  readonly wallMs: () => number
}

/** What would be done, or was. */
export interface RejoinPlan {
  readonly member: {readonly name: string; readonly epoch: number; readonly nextOffset: number}
  readonly leader: {readonly name: string; readonly url: string; readonly epoch: number; readonly nextOffset: number}
  /** First offset at which the logs differ; `isExact` is false when they may have parted before. */
  readonly parting: Parting
  readonly lost: LostSummary
  /** The log is a beginning of that of the leader: the member follows by itself when it starts, and nothing is to be done. */
  readonly isBeginning: boolean
}

/** Entries that only this member has. */
interface LostSummary {
  readonly count: number
  readonly firstMs: number | null
  readonly lastMs: number | null
  /** How many there are of each kind of change, the most frequent first. */
  readonly kinds: readonly (readonly [kind: string, count: number])[]
}

export interface RejoinDone {
  /** File of the lost entries; null when there were none. */
  readonly file: string | null
  /** Next offset of the copy. */
  readonly nextOffset: number
}

const LIMITS = {connectMs: 5000, timeoutMs: 30_000, spareLinks: 0}
/** Members that are asked one after the other until one of them leads. */
const MOST_ASKED = 16
const CHUNK = 256

interface Leader {
  readonly url: string
  readonly about: ListedMember
  readonly proxy: TelepathProxy
}

interface Opened {
  readonly cellDir: CellDir
  readonly store: Store
  readonly head: StoreHead
  readonly fence: Fence | undefined
  readonly state: LeadState
}

/** A rejoining that has looked, and has done nothing yet. The directory is locked until it is disposed of. */
export class Rejoining implements AsyncDisposable {
  readonly plan: RejoinPlan
  readonly #ports: RejoinPorts
  readonly #opened: Opened
  readonly #leader: Leader
  readonly #ends: AsyncDisposableStack

  private constructor(
    ports: RejoinPorts,
    opened: Opened,
    leader: Leader,
    plan: RejoinPlan,
    ends: AsyncDisposableStack,
  ) {
    this.#ports = ports
    this.#opened = opened
    this.#leader = leader
    this.plan = plan
    this.#ends = ends
  }

  /**
   * Looks what is to be done. `leader` is the URL to begin with; without it, what the directory knows.
   *
   * @throws RegistryError `REG_DIR_UNUSABLE` when there is no registry, `REG_DIR_LOCKED` while its server runs, `REG_UNREACHABLE` when no leader is
   * found, `REG_CONFLICT` when this member leads or is of another cell; `REG_STORE_DAMAGED`, `REG_STORE_FAILED`
   */
  static async open(ports: RejoinPorts, leader: string | undefined, signal: AbortSignal): Promise<Rejoining> {
    await using ends = new AsyncDisposableStack()
    ends.defer(ports.close)
    const opened = await openDir(ports.dir, ends)
    const found = await findLeader(ports, opened, leader, signal)
    ends.use(found.proxy)
    const plan = await planOf(opened, found, signal)
    assertNewer(opened.fence, plan)
    return new Rejoining(ports, opened, found, plan, ends.move())
  }

  /** Saves what would be lost, and takes the copy. Throws as `saveLostEntries`, `fetchCopy`; the directory is as before then, but for the file. */
  async run(signal: AbortSignal): Promise<RejoinDone> {
    const {cellDir, store, head} = this.#opened
    const {open, log} = this.#ports
    const file = this.plan.lost.count === 0 ? null : await this.#save()
    const {nextOffset} = await fetchCopy(
      {
        open: (aborting) => open(this.#leader.url, {...LIMITS, signal: aborting}),
        path: cellDir.storePath,
        acceptCell: async (cellIden) => assertCell(cellIden, cellDir.guid),
        own: async (part, end) => {
          await verifyStoreFile(part, end)
          await adoptStore(part, head.iden)
        },
        log,
      },
      signal,
    )
    await store.close()
    await placeCopy(cellDir.storePath)
    // After the store: a kill in between leaves a fence that the log has passed, which the next start removes.
    await new FenceFile(cellDir.path).remove()
    return {file, nextOffset}
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#ends.disposeAsync()
  }

  async #save(): Promise<string> {
    const {cellDir, store, head} = this.#opened
    const {member, leader, parting, lost} = this.plan
    const nowMs = this.#ports.wallMs()
    const stamp = new Date(nowMs).toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '')
    const path = join(cellDir.path, `lost-${member.epoch}-${stamp}.jsonl`)
    const header = {
      ...{cell: cellDir.guid, member: head.iden, name: member.name, savedMs: nowMs},
      ...{offset: parting.offset, count: lost.count, leader: leader.name, epoch: leader.epoch},
    }
    await saveLostEntries(path, header, entriesFrom(store, parting.offset, head.nextOffset)).catch((cause: unknown) => {
      const text = `${path} cannot be written, and nothing was changed: ${messageOf(cause)}`
      throw new RegistryError('REG_DIR_UNUSABLE', text, {info: {path}, cause})
    })
    return path
  }
}

async function openDir(dir: string, ends: AsyncDisposableStack): Promise<Opened> {
  await stat(join(dir, 'registry.db')).catch((cause: unknown) => {
    const why = systemCode(cause) === 'ENOENT' ? 'there is no registry in it' : messageOf(cause)
    const hints = ['a new member begins with: registry clone NAME, at the leader']
    throw new RegistryError('REG_DIR_UNUSABLE', `${dir}: ${why}`, {info: {path: dir}, hints, cause})
  })
  const cellDir = ends.use(await lockCellDir(dir).catch((error: unknown) => Promise.reject(running(error, dir))))
  const store = new SqliteStore(cellDir.storePath)
  const head = await store.open()
  ends.defer(() => store.close())
  return {cellDir, store, head, fence: await new FenceFile(cellDir.path).read(), state: await readLeadState(store)}
}

function running(error: unknown, dir: string): unknown {
  if (!(error instanceof RegistryError) || error.code !== 'REG_DIR_LOCKED') return error
  return new RegistryError('REG_DIR_LOCKED', `${error.message}: only a member that does not run can rejoin`, {
    info: error.info,
    hints: ['stop it first: its supervisor, or SIGTERM to the process named above', `registry status cell://${dir}`],
    cause: error,
  })
}

/** Asks the members, each for whom it takes for the leader, until one says that it leads. */
async function findLeader(
  {open, log}: RejoinPorts,
  {fence, state, head, cellDir}: Opened,
  wanted: string | undefined,
  signal: AbortSignal,
): Promise<Leader> {
  const queue = wanted === undefined ? knownUrls(fence, state, head.iden) : [wanted]
  const asked: string[] = []
  let last: unknown
  for (let url = queue.shift(); url !== undefined && asked.length < MOST_ASKED; url = queue.shift()) {
    signal.throwIfAborted()
    if (asked.includes(url)) continue
    asked.push(url)
    try {
      const found = await askMember(open, url, signal)
      if ('about' in found) return checked(found, head)
      queue.unshift(...found.urls)
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'REG_CONFLICT') throw error
      log.warning('rejoin.not-asked', {url: sanitizeUrl(url), error})
      last = error
    }
  }
  const tried = asked.map(sanitizeUrl).join(', ')
  throw new RegistryError('REG_UNREACHABLE', `no leader was found${tried && `: asked ${tried}`}`, {
    info: {dir: cellDir.path},
    hints: ['registry status URL', 'name the leader: registry rejoin DIR --leader ssl://HOST:PORT'],
    cause: last,
  })
}

function knownUrls(fence: Fence | undefined, {lead, members}: LeadState, own: string): string[] {
  const others = [...members.values()].filter(({member}) => member !== own)
  const leads: readonly (Lead | undefined)[] = [fence?.lead, lead?.member === own ? undefined : lead]
  return [...leads.flatMap((one) => one?.urls ?? []), ...others.flatMap(({urls}) => urls)]
}

async function askMember(
  open: RejoinPorts['open'],
  url: string,
  signal: AbortSignal,
): Promise<Leader | {readonly urls: readonly string[]}> {
  const proxy = await open(url, {...LIMITS, signal})
  try {
    const listed = unpackMembers(await proxy.call('getMembers', {signal}))
    const self = listed.find(({isSelf}) => isSelf)
    if (self?.role === 'leads') return {url, about: self, proxy}
    const leader = listed.find(({role, isSelf}) => role === 'leads' && !isSelf)
    await proxy.close()
    return {urls: leader?.urls ?? []}
  } catch (error) {
    await proxy.close()
    throw error
  }
}

function checked(leader: Leader, head: StoreHead): Leader {
  const {about} = leader
  if (about.member === head.iden) {
    throw new RegistryError(
      'REG_CONFLICT',
      `${about.name} has the iden of this member: it is a copy of this directory`,
      {
        hints: ['make mirrors with: registry clone NAME'],
      },
    )
  }
  return leader
}

async function planOf(
  {store, head, state}: Opened,
  {url, about, proxy}: Leader,
  signal: AbortSignal,
): Promise<RejoinPlan> {
  const changes = {nextOffset: head.nextOffset, head, written: async () => true}
  const readers = new LogReaders({store, changes})
  const placeThere = async (offset: number) => unpackPlace(await proxy.call('getLogPlace', {args: [offset], signal}))
  const end = await placeThere(Math.max(0, head.nextOffset - 1))
  const parting = await findParting((offset) => readers.placeAt(offset), placeThere)
  const isBeginning = parting.isExact && parting.offset === head.nextOffset
  return {
    member: {name: nameOf(state, head.iden), epoch: head.epoch, nextOffset: head.nextOffset},
    leader: {name: about.name, url: sanitizeUrl(url), epoch: end.epoch, nextOffset: end.nextOffset},
    parting,
    lost: await summaryOf(entriesFrom(store, parting.offset, head.nextOffset)),
    isBeginning,
  }
}

/** One that is asked for by name may be a member that was left behind itself. */
function assertNewer(fence: Fence | undefined, {leader}: RejoinPlan): void {
  if (fence === undefined || leader.epoch >= fence.lead.epoch) return
  const {name, epoch} = fence.lead
  throw new RegistryError(
    'REG_CONFLICT',
    `${leader.name} leads with epoch ${leader.epoch}, but ${name} took the lead with epoch ${epoch}, which ${leader.name} has not heard of`,
    {
      info: {name: leader.name, epoch: leader.epoch, known: epoch},
      hints: [
        `start ${name}, and rejoin without --leader`,
        `when ${name} is gone for good: registry promote URL --failure, on ${leader.name} or on this member`,
      ],
    },
  )
}

function nameOf({members}: LeadState, iden: string): string {
  return members.get(iden)?.name ?? `member ${iden.slice(0, 8)}`
}

async function* entriesFrom(store: Pick<Store, 'read'>, from: number, end: number): AsyncGenerator<readonly Entry[]> {
  let at = from
  while (at < end) {
    const entries = await store.read(at, Math.min(CHUNK, end - at))
    if (entries.length === 0) return
    yield entries
    at += entries.length
  }
}

async function summaryOf(entries: AsyncIterable<readonly Entry[]>): Promise<LostSummary> {
  const kinds = new Map<string, number>()
  let [count, firstMs, lastMs]: [number, number | null, number | null] = [0, null, null]
  for await (const some of entries) {
    for (const {change, timeMs} of some) {
      const kind = changeKind(change) ?? 'unknown'
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
      count += 1
      firstMs ??= timeMs
      lastMs = timeMs
    }
  }
  return {count, firstMs, lastMs, kinds: [...kinds].toSorted(([, one], [, other]) => other - one)}
}
