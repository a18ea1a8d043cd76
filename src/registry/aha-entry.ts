/**
 * What a service says of itself to AHA is kept as it came: peers of other versions read members that nobody here knows. Only these mean
 * something here: `urlinfo` (where it listens), `iden` and `run` (which cell, which start of it), `leader` (the name that whoever leads also
 * has), `ready`, and `online`, which is there as long as the session is open that the service registered through:
 *
 *     {"run":"00ed…","iden":"20ed…","leader":"axon","urlinfo":{"scheme":"ssl","port":38651,"host":"10.0.0.7",…},"ready":true,"online":"7557…"}
 *
 * @see spec/aha.md, section 2
 */
import {RegistryError} from '../base/errors.ts'
import type {AhaName} from './aha-name.ts'

type Json = null | boolean | number | string | readonly Json[] | JsonObject
/** An object of JSON. */
export type JsonObject = {readonly [key: string]: Json}

/** What a service said of itself, checked. */
export type AhaInfo = JsonObject & {readonly urlinfo: JsonObject}

/** A service in AHA. Immutable. */
export interface AhaEntry extends AhaName {
  readonly info: AhaInfo
}

/** Largest description of a service as JSON text, in characters; real ones have some 400. */
const MAX_INFO = 16_384
const MAX_DEPTH = 16

/**
 * Checks what a service says of itself.
 *
 * @throws RegistryError `REG_BAD_REQUEST` when it has no `urlinfo`, is too large, or holds what JSON does not know: bytes, integers beyond 2^53,
 * floats that are not finite, keys that are no texts
 */
export function readAhaInfo(value: unknown): AhaInfo {
  const info = readJson(value, 'info', MAX_DEPTH)
  if (!isJsonObject(info)) throw badInfo('info must be a map')
  const {urlinfo} = info
  if (!isJsonObject(urlinfo)) throw badInfo('info.urlinfo must be a map')
  if (JSON.stringify(info).length > MAX_INFO) throw badInfo(`info must not exceed ${MAX_INFO} characters as JSON`)
  return {...info, urlinfo}
}

/** Puts in what AHA knows of a service that registers: the token of its session, and its address where it gave none itself. */
export function asRegistered(info: AhaInfo, online: string, host: string | undefined): AhaInfo {
  const isPlaced = host === undefined || Object.hasOwn(info.urlinfo, 'host')
  const urlinfo = isPlaced ? info.urlinfo : {...info.urlinfo, host}
  return {...info, urlinfo, ready: info['ready'] ?? true, online}
}

/** Gives the entry of a service whose session has ended. */
export function asOffline(entry: AhaEntry): AhaEntry {
  const {online: _, ...info} = entry.info
  return {...entry, info: {...info, urlinfo: entry.info.urlinfo, ready: false}}
}

/** Gives the entry of a service that says whether it takes calls. */
export function asReady(entry: AhaEntry, isReady: boolean): AhaEntry {
  return {...entry, info: {...entry.info, ready: isReady}}
}

/** Names the user for a connection to the service. Nobody else gets to see this copy. */
export function forUser(entry: AhaEntry, user: string): AhaEntry {
  return {...entry, info: {...entry.info, urlinfo: {...entry.info.urlinfo, user}}}
}

/** Token of the session that the service registered through; undefined when it is offline. */
export function onlineOf({info}: AhaEntry): string | undefined {
  return textOf(info['online'])
}

/** Iden of the cell; undefined when it does not say. */
export function idenOf({info}: AhaEntry): string | undefined {
  return textOf(info['iden'])
}

/** Which start of the cell it is; undefined when it does not say. */
export function runOf({info}: AhaEntry): string | undefined {
  return textOf(info['run'])
}

/** Tells whether it is the entry under the name of the leader, which is the second one of a service. */
export function isAlias({info, name}: AhaEntry): boolean {
  return info['leader'] === name
}

/** Tells whether a value of JSON is an object. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function readJson(value: unknown, at: string, levels: number): Json {
  if (value === null || value === undefined) return null
  if (typeof value === 'string' || typeof value === 'boolean') return value
  // A negative zero would be another number here than in the log.
  if (typeof value === 'number' && Number.isFinite(value)) return value + 0
  if (typeof value !== 'object') throw badInfo(`${at} is nothing that JSON knows`)
  if (levels === 0) throw badInfo(`info is nested deeper than ${MAX_DEPTH} levels`)
  if (Array.isArray(value)) return value.map((item) => readJson(item, `${at}[]`, levels - 1))
  if (isPlain(value)) return readMembers(value, at, levels - 1)
  throw badInfo(`${at} is nothing that JSON knows`)
}

function readMembers(value: object, at: string, levels: number): JsonObject {
  const entries = Object.entries(value).map(([key, one]) => [key, readJson(one, `${at}.${key}`, levels)] as const)
  return Object.fromEntries(entries)
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function badInfo(text: string): RegistryError {
  return new RegistryError('REG_BAD_REQUEST', text.slice(0, 200), {info: {arg: 'info'}})
}
