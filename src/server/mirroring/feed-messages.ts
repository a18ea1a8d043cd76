/**
 * What a leader and its mirrors tell each other. The mirror calls the generator `followLog(about)` and tells `followAck(told)` on the same session:
 *
 *     mirror                                          leader
 *     followLog({member, name, urls, run, version,
 *                epoch, nextOffset, lastHash}) ─────►  checks epoch and hash
 *     ◄───────────────────────────────────────────── {member, name, urls, epoch, nextOffset, nowMs, cellIden, sinceMs}
 *     ◄───────────────────────────────────────────── {entries: [[offset, epoch, hash, timeMs, actor, change], …], renewed: [ids], nowMs, nextOffset}
 *     followAck({member, nextOffset, renewed, opened,
 *                closed, isWhole, archivers}) ─────►
 *
 * Each side is heard of at least once a second.
 */
import {RegistryError} from '../../base/errors.ts'
import type {LeadMember} from '../../registry/lead.ts'
import type {Entry} from '../../store/store.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import {parseUrl} from '../../wire/telepath/url.ts'
import {type ArchiverPlace, readArchiverPlaces} from '../archiver-messages.ts'
import type {MirrorAbout} from './mirrors.ts'

/** Who wants to follow, and from where: the place that its own log has reached. */
export interface FollowWish extends MirrorAbout {
  readonly epoch: number
  readonly nextOffset: number
  readonly lastHash: string
}

/** The first thing that a leader says. */
export interface FeedStart {
  readonly lead: LeadMember
  readonly epoch: number
  readonly nextOffset: number
  readonly nowMs: number
  /** Of the cell, which all its members share. */
  readonly cellIden: string
  /** When the first entry was written that the mirror lacks; null when it lacks none. By the clock of the leader. */
  readonly sinceMs: number | null
}

/** What comes then, again and again. */
export interface FeedStep {
  readonly entries: readonly Entry[]
  readonly renewed: readonly string[]
  /** The clock of the leader. */
  readonly nowMs: number
  /** Where the log of the leader is. */
  readonly nextOffset: number
}

/** What a mirror tells its leader. */
export interface FollowTold {
  readonly member: string
  readonly nextOffset: number
  readonly renewed: readonly string[]
  /** Tokens of sessions through which services registered, opened and closed at the mirror since it last told. */
  readonly opened: readonly string[]
  readonly closed: readonly string[]
  /** `opened` are all that are open there: the first that it tells. */
  readonly isWhole: boolean
  /** Who archives the log that the mirror has; absent: as it was told last. */
  readonly archivers?: readonly ArchiverPlace[] | undefined
  /** Its changes wait for a snapshot: it could not take the lead. Older mirrors do not say. */
  readonly isFrozen?: boolean
}

const IDEN = /^[0-9a-f]{32}$/
const HASH = /^[0-9a-f]{64}$/
const NAME = /^[^\p{Cc}]{1,256}$/u
const VERSION = /^[^\p{Cc}]{1,64}$/u
const MAX_URLS = 16
const MAX_URL = 1024
/** Ids of leases and tokens of one message. */
const MAX_IDS = 100_000
const MAX_ID = 4096
const MAX_ENTRIES = 10_000
/** Text of one message, at most; an entry that is larger has a message of its own. */
const MESSAGE_CHARS = 1024 * 1024

type Fields = Readonly<Record<string, Value>>

/** Reads who wants to follow. @throws RegistryError `REG_BAD_REQUEST` */
export function readFollowWish(value: Value): FollowWish {
  const of = fieldsOf(value, 'about', badRequest)
  return {
    member: match(of['member'], IDEN, 'about.member', badRequest),
    name: match(of['name'], NAME, 'about.name', badRequest),
    urls: urlsOf(of['urls'], 'about.urls', badRequest),
    run: match(of['run'], IDEN, 'about.run', badRequest),
    version: match(of['version'], VERSION, 'about.version', badRequest),
    epoch: whole(of['epoch'], 1, 'about.epoch', badRequest),
    nextOffset: whole(of['nextOffset'], 0, 'about.nextOffset', badRequest),
    lastHash: match(of['lastHash'], HASH, 'about.lastHash', badRequest),
  }
}

/** Gives it for the wire. */
export function packFollowWish({urls, ...wish}: FollowWish): Value {
  return {...wish, urls: [...urls]}
}

export function packFeedStart({lead: {member, name, urls}, ...start}: FeedStart): Value {
  return {...start, member, name, urls: [...urls]}
}

/** Reads what a leader says first. @throws RegistryError `REG_BAD_ANSWER` */
export function readFeedStart(value: Value): FeedStart {
  const of = fieldsOf(value, 'the feed', badAnswer)
  const {sinceMs = null} = of
  return {
    lead: {
      member: match(of['member'], IDEN, 'member', badAnswer),
      name: match(of['name'], NAME, 'name', badAnswer),
      urls: urlsOf(of['urls'], 'urls', badAnswer),
    },
    epoch: whole(of['epoch'], 1, 'epoch', badAnswer),
    nextOffset: whole(of['nextOffset'], 0, 'nextOffset', badAnswer),
    nowMs: whole(of['nowMs'], 0, 'nowMs', badAnswer),
    cellIden: match(of['cellIden'], IDEN, 'cellIden', badAnswer),
    sinceMs: sinceMs === null ? null : whole(sinceMs, 0, 'sinceMs', badAnswer),
  }
}

export function packFeedStep({entries, renewed, nowMs, nextOffset}: FeedStep): Value {
  return {entries: entries.map(packEntry), renewed: [...renewed], nowMs, nextOffset}
}

/** Reads a step of the feed. @throws RegistryError `REG_BAD_ANSWER` */
export function readFeedStep(value: Value): FeedStep {
  const of = fieldsOf(value, 'the feed', badAnswer)
  return {
    entries: listOf(of['entries'], MAX_ENTRIES, 'entries', badAnswer).map(readEntry),
    renewed: idsOf(of['renewed'], 'renewed', badAnswer),
    nowMs: whole(of['nowMs'], 0, 'nowMs', badAnswer),
    nextOffset: whole(of['nextOffset'], 0, 'nextOffset', badAnswer),
  }
}

export function packFollowTold({renewed, opened, closed, archivers, ...told}: FollowTold): Value {
  const lists = {renewed: [...renewed], opened: [...opened], closed: [...closed]}
  return {...told, ...lists, ...(archivers === undefined ? {} : {archivers: archivers.map((one) => ({...one}))})}
}

/** Reads what a mirror tells. @throws RegistryError `REG_BAD_REQUEST` */
export function readFollowTold(value: Value): FollowTold {
  const of = fieldsOf(value, 'told', badRequest)
  const {isWhole, archivers = null} = of
  if (typeof isWhole !== 'boolean') throw badRequest('told.isWhole', 'must be true or false')
  return {
    member: match(of['member'], IDEN, 'told.member', badRequest),
    nextOffset: whole(of['nextOffset'], 0, 'told.nextOffset', badRequest),
    renewed: idsOf(of['renewed'], 'told.renewed', badRequest),
    opened: idsOf(of['opened'], 'told.opened', badRequest),
    closed: idsOf(of['closed'], 'told.closed', badRequest),
    isWhole,
    ...(archivers === null ? {} : {archivers: readArchiverPlaces(archivers, 'told.archivers')}),
    isFrozen: of['isFrozen'] === true,
  }
}

/** Divides entries such that no message is large. */
export function* inMessages(entries: readonly Entry[]): Generator<readonly Entry[], void> {
  let some: Entry[] = []
  let chars = 0
  for (const entry of entries) {
    if (some.length > 0 && chars + entry.change.length > MESSAGE_CHARS) {
      yield some
      some = []
      chars = 0
    }
    some.push(entry)
    chars += entry.change.length
  }
  if (some.length > 0) yield some
}

function packEntry({offset, epoch, hash, timeMs, actor, change}: Entry): Value {
  return [offset, epoch, hash, timeMs, actor, change]
}

function readEntry(value: Value): Entry {
  if (!Array.isArray(value) || value.length !== 6) throw badAnswer('an entry', 'must be a list of six')
  const [offset, epoch, hash, timeMs, actor, change] = value as readonly Value[]
  if (typeof actor !== 'string' || typeof change !== 'string') throw badAnswer('an entry', 'must hold texts')
  return {
    offset: whole(offset, 0, 'offset', badAnswer),
    epoch: whole(epoch, 1, 'epoch', badAnswer),
    hash: match(hash, HASH, 'hash', badAnswer),
    timeMs: whole(timeMs, Number.MIN_SAFE_INTEGER, 'timeMs', badAnswer),
    actor,
    change,
  }
}

type Bad = (what: string, how: string) => RegistryError

function badRequest(what: string, how: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', `${what} ${how}`, {info: {name: what}})
}

function badAnswer(what: string, how: string): RegistryError {
  const hints = ['both members of the cell need the same version: registry status']
  return new RegistryError('REG_BAD_ANSWER', `what the leader sends is not understood: ${what} ${how}`, {hints})
}

function fieldsOf(value: Value, what: string, bad: Bad): Fields {
  const isMap = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  if (!isMap) throw bad(what, 'must be a map')
  return value as Fields
}

function match(value: Value, form: RegExp, what: string, bad: Bad): string {
  if (typeof value !== 'string' || !form.test(value)) throw bad(what, `must match ${form.source}`)
  return value
}

function whole(value: Value, least: number, what: string, bad: Bad): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value
  throw bad(what, `must be an integer from ${least}`)
}

function listOf(value: Value, most: number, what: string, bad: Bad): readonly Value[] {
  if (!Array.isArray(value)) throw bad(what, 'must be a list')
  if (value.length > most) throw bad(what, `must not have more than ${most} members`)
  return value as readonly Value[]
}

function idsOf(value: Value, what: string, bad: Bad): readonly string[] {
  return listOf(value, MAX_IDS, what, bad).map((id) => {
    if (typeof id !== 'string' || id.length > MAX_ID) throw bad(what, 'must hold ids')
    return id
  })
}

/** URLs that go into the log, for all to see: without users and passwords. */
function urlsOf(value: Value, what: string, bad: Bad): readonly string[] {
  return listOf(value, MAX_URLS, what, bad).map((url) => {
    if (typeof url !== 'string' || url.length > MAX_URL) throw bad(what, 'must hold URLs')
    const {user, passwd} = parseUrl(url)
    if (user !== undefined || passwd !== undefined) throw bad(what, 'must not name users')
    return url
  })
}
