import type {LogFacts} from '../client/trim.ts'
import {formatBytes} from './bytes.ts'
import {printable} from './printable.ts'
import {type Column, table} from './render.ts'
import type {TrimReport} from './trim-run.ts'

type Row = readonly [what: string, before: string, after: string]

const HEAD: readonly Column<Row>[] = [
  {header: 'log', value: ([what]) => what},
  {header: 'before', value: ([, before]) => before, align: 'right'},
]
const NOW: Column<Row> = {header: 'now', value: ([, , after]) => after, align: 'right'}

const FOLLOWERS: readonly Column<TrimReport['followers'][number]>[] = [
  {header: 'follows', value: ({name}) => name},
  {header: 'index', value: ({index}) => numberText(index), align: 'right'},
  {header: 'behind', value: ({behind}) => numberText(behind), align: 'right'},
  {
    header: 'waited for',
    value: ({awaited, why}) => (awaited ? 'yes' : why === null ? 'no: it has what goes' : `no: ${why}`),
  },
]

/** Shows what was trimmed, and for whom it was waited. */
export function trimText(report: TrimReport): string {
  const {before, after, followers, warnings} = report
  const rows: readonly Row[] = [
    ['index', String(before.index), numberText(after?.index)],
    ['oldest entry', numberText(before.oldest), numberText(after?.oldest)],
    ['entries', entriesIn(before), entriesIn(after)],
    [sizeOf(before), bytesText(before), bytesText(after)],
  ]
  const lines = [printable(summaryOf(report)), '', table(rows, after === null ? HEAD : [...HEAD, NOW])]
  if (followers.length > 0) lines.push('', table(followers, FOLLOWERS))
  for (const warning of warnings) lines.push(printable(`warning: ${warning}`))
  return lines.join('\n')
}

function summaryOf({service, trimmedTo, before, dryRun, changed}: TrimReport): string {
  if (before.oldest === null) return `${service} keeps no entries`
  if (trimmedTo === null) return `${service} keeps all of its ${entriesIn(before)} entries`
  const gone = `entries ${before.oldest ?? 0} to ${trimmedTo} of ${service}`
  return dryRun || !changed ? `${gone} would go` : `${gone} are gone`
}

function entriesIn(log: LogFacts | null): string {
  if (log === null) return '-'
  return log.oldest === null ? '0' : String(log.index - log.oldest)
}

function sizeOf({bytesOf}: LogFacts): string {
  if (bytesOf === 'database') return 'size of the database'
  return bytesOf === 'cell' ? 'size of the whole service' : 'size of the log'
}

function bytesText(log: LogFacts | null): string {
  return log === null || log.bytes === null ? '-' : formatBytes(log.bytes)
}

function numberText(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : String(value)
}
