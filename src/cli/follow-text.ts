import type {FollowEvent, FollowReport} from '../client/follow-backup.ts'
import {printable} from './printable.ts'
import {localTime} from './render.ts'

/** Something that happened, and when; as JSON and for people. */
export class FollowLine {
  readonly #event: FollowEvent
  readonly #atMs: number

  constructor(event: FollowEvent, atMs: number) {
    this.#event = event
    this.#atMs = atMs
  }

  toJSON(): object {
    const {event, ...facts} = this.#event
    return {event, at: new Date(this.#atMs).toISOString(), ...facts}
  }

  text(): string {
    return printable(`${localTime(this.#atMs)}  ${textOf(this.#event)}`)
  }
}

/** The last line for people. */
export function followEnd({index, entries}: FollowReport): string {
  if (index === null) return 'nothing is kept yet: no base was taken'
  return `kept up to index ${index}; ${entries} ${entries === 1 ? 'entry' : 'entries'} archived`
}

function textOf(event: FollowEvent): string {
  switch (event.event) {
    case 'base':
      return `base taken at index ${event.index}: ${event.path}${removedText(event.removed)}`
    case 'base-failed':
      return `no base was taken, the log goes on: ${event.reason}`
    case 'following':
      return `following at index ${event.index}${behindText(event.behind)}`
    case 'archived':
      return `archived up to index ${event.index}, ${event.lagMs} ms after the change${behindText(event.behind)}`
    case 'history':
      return `another history begins, and the old one is kept apart (${event.why}): ${event.reason}`
    case 'disconnected':
      return `not connected, tries again: ${event.reason}`
  }
}

function behindText(behind: number): string {
  return behind === 0 ? '' : `, ${behind} behind`
}

function removedText(removed: readonly string[]): string {
  return removed.length === 0 ? '' : `; removed ${removed.join(', ')}`
}
