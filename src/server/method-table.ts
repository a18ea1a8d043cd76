/** What all listeners can be asked for, and who may, in one table: to be looked at as a whole. */
import type {Need} from '../auth/need.ts'
import type {CellMethod} from './cell-method.ts'
import {httpsMethods} from './https-routes.ts'
import {TELEPATH_METHODS, ZEROMQ_METHODS, ZEROMQ_WRITES} from './methods.ts'

/** A row as the table shows it. */
export interface MethodRow {
  readonly listener: 'zeromq' | 'telepath' | 'https'
  readonly name: string
  /** Undefined where it depends on what is asked. */
  readonly need: Need | undefined
  /** It alters the state of the cell, and so is done by the leader. */
  readonly isWrite: boolean
}

/** All rows of all listeners. */
export function allMethods(): readonly MethodRow[] {
  return [
    ...Object.entries(ZEROMQ_METHODS).map(
      ([name, need]) => ({listener: 'zeromq', name, need, isWrite: ZEROMQ_WRITES.has(name)}) as const,
    ),
    ...[...TELEPATH_METHODS].map(([name, row]) => telepathRow(name, row)),
    ...httpsMethods().map(({name, need, isWrite}) => ({listener: 'https', name, need, isWrite}) as const),
  ]
}

function telepathRow(name: string, row: CellMethod): MethodRow {
  const need = typeof row.need === 'function' ? undefined : row.need
  const isWrite = !row.isGenerator && !row.isShare && row.isWrite === true
  return {listener: 'telepath', name, need, isWrite}
}
