// What durable-child.ts writes, and what power-cut-files.test.ts expects of it.
import type {Fence} from '../../src/registry/fence.ts'
import type {LogShape} from '../support/log-model.ts'

export type Scenario =
  | 'begin'
  | 'compact'
  | 'pair'
  | 'place'
  | 'follow'
  | 'backup'
  | 'restore beside'
  | 'restore within'

export const SHAPE: LogShape = {segment: 40, every: 100, kept: 30, filler: 300, batch: 5}
/** Of the store that takes the place of another one. */
export const NEW_SHAPE: LogShape = {...SHAPE, filler: 200}
export const CELL = 'c'.repeat(32)
export const FENCE: Fence = {
  lead: {member: 'a'.repeat(32), name: '01.demo.net', urls: [], epoch: 7, how: 'forced', from: null},
  sinceMs: 1_763_719_200_000,
  reason: null,
}
export const ARCHIVE = Buffer.alloc(30_000, 'archive')
