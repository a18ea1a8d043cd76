/** What is asked of a restored Synapse service: all that it has is read once. Seen at Synapse 2.256. */
import {createHash} from 'node:crypto'
import {readJsonstor} from '../../backup/jsonstor-slab.ts'
import type {ProofCheck} from '../../backup/proofs.ts'
import {synapseCensus} from '../../backup/synapse-census.ts'
import {readSynapseFacts} from '../../backup/synapse-facts.ts'
import {messageOf} from '../../base/errors.ts'
import {fieldsOf} from '../../client/admin-values.ts'
import type {Value} from '../../wire/msgpack/value.ts'
import type {Callable} from '../../wire/telepath/caller.ts'
import {askCryotank} from './ask-cryotank.ts'
import {askJsonstor} from './ask-jsonstor.ts'
import {ANSWER_MS, type Ask, textOf, Wrong} from './asking.ts'
import {compare, compareFacts} from './checks.ts'
import type {DrillSubject, PreparedDrill} from './subject.ts'

/** Counts all nodes of all layers by their form, each of which is read for that. */
const FORM_COUNTS = `
$counts = ({})
for $layer in $lib.layer.list() {
  for ($iden, $node) in $layer.getStorNodes() {
    $form = $node.form
    $count = $counts.$form
    if $count { $counts.$form = ($count + 1) } else { $counts.$form = (1) }
  }
}
return($counts)`

/**
 * Reads the files of a service of one of `DRILLED_TYPES`, and says how it is started.
 *
 * @throws RegistryError `REG_BACKUP_SOURCE` when a file of it is damaged
 */
export function prepareSynapse(subject: DrillSubject, python: string): PreparedDrill {
  const {dir, manifest, type, signal} = subject
  const {index} = readSynapseFacts(dir)
  const census = synapseCensus(dir, type)
  const objects = type === 'jsonstor' ? readJsonstor(dir) : undefined
  const checks: ProofCheck[] = []
  if (manifest !== undefined && manifest.log.index !== null && index !== null) {
    checks.push(compare('files: log.index', manifest.log.index, index))
  }
  // What an older version of this software did not count cannot be compared.
  if (manifest !== undefined)
    checks.push(...compareFacts('files', manifest.census, {...manifest.census, ...census}, true))
  const {told, ask} = SERVICES[type ?? ''] ?? {told: type, ask: askNothing}
  return {
    checks,
    command: [python, '-m', `synapse.servers.${type}`, dir],
    variables: {
      [`SYN_${(type ?? '').toUpperCase()}_HTTPS_PORT`]: 'null',
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONUNBUFFERED: '1',
    },
    ask: async (cell) => [
      ...(await askAny(cell, {index, told}, subject)),
      ...(await ask(cell, {before: census, objects}, signal)),
    ],
  }
}

/** Which Synapse wrote it, as its files say, or else its manifest; null when neither does. */
export function writtenBy({dir, manifest}: DrillSubject): string | null {
  return readSynapseFacts(dir).version ?? manifest?.cell.version ?? null
}

/** The start of a service may write entries of its own; it never takes any away. */
async function askAny(
  cell: Callable,
  {index, told}: {readonly index: number | null; readonly told: string | null},
  subject: DrillSubject,
): Promise<readonly ProofCheck[]> {
  const options = {signal: subject.signal, timeoutMs: ANSWER_MS}
  const info = fieldsOf(fieldsOf(await cell.call('getCellInfo', options), 'getCellInfo')['cell'] ?? null, 'cell')
  const now = Number(await cell.call('getNexsIndx', options))
  const iden = compare('service: iden', subject.manifest?.cell.iden ?? subject.iden, textOf(info['iden']))
  const type = compare('service: type', told, textOf(info['type']))
  const safemode = compare('service: safemode', true, info['safemode'] === true)
  if (index === null) return [iden, type, safemode]
  const found = now === index ? `${now}` : `${now}, of which ${now - index} were written by its start`
  return [iden, type, safemode, {what: 'service: log.index', expected: `${index}`, found, isRight: now >= index}]
}

const askNothing: Ask = async () => []

/** How many names of services there are. What it says of each, such as whether it is online, is not the same after a start. */
const askAha: Ask = async (cell, {before}, signal) => {
  let services = 0
  for await (const _ of cell.stream('getAhaSvcs', {signal, timeoutMs: ANSWER_MS})) services += 1
  return [compare('service: services', before['services'] ?? services, services)]
}

/** Every blob is read, and must have the hash that is its name. */
const askAxon: Ask = async (cell, {before}, signal) => {
  const options = {signal, timeoutMs: ANSWER_MS}
  const wrong = new Wrong()
  let blobs = 0
  let bytes = 0
  for await (const item of cell.stream('hashes', {...options, args: [0]})) {
    const {name, size} = readHash(item)
    blobs += 1
    bytes += size
    const problem = await blobProblem(cell, name, size, options)
    if (problem !== undefined) wrong.add(`${name.toString('hex')} ${problem}`)
  }
  return [
    compare('service: blobs', before['blobs'] ?? blobs, blobs),
    compare('service: bytes', before['bytes'] ?? bytes, bytes),
    wrong.check('service: content of every blob'),
  ]
}

function readHash(item: Value): {readonly name: Buffer; readonly size: number} {
  const [, about] = Array.isArray(item) ? item : []
  const [name, size] = Array.isArray(about) ? about : []
  if (!(name instanceof Uint8Array) || typeof size !== 'number') throw new TypeError('the Axon lists no hash and size')
  return {name: Buffer.from(name), size}
}

async function blobProblem(
  cell: Callable,
  name: Buffer,
  size: number,
  options: {readonly signal: AbortSignal; readonly timeoutMs: number},
): Promise<string | undefined> {
  const hash = createHash('sha256')
  let bytes = 0
  try {
    for await (const piece of cell.stream('get', {...options, args: [name]})) {
      if (!(piece instanceof Uint8Array)) return 'is no bytes'
      hash.update(piece)
      bytes += piece.length
    }
  } catch (error) {
    options.signal.throwIfAborted()
    return `cannot be read: ${messageOf(error)}`
  }
  if (bytes !== size) return `has ${bytes} bytes in place of ${size}`
  return hash.digest().equals(name) ? undefined : 'has another content'
}

const askCortex: Ask = async (cell, {before}, signal) => {
  // No limit: a layer of a hundred million nodes takes its time, and tells nothing meanwhile.
  const counts = fieldsOf(await cell.call('callStorm', {args: [FORM_COUNTS], signal, timeoutMs: 0}), 'callStorm')
  const found: Record<string, number | string> = {}
  let nodes = 0
  for (const [form, count] of Object.entries(counts)) {
    found[`forms.${form}`] = Number(count)
    nodes += Number(count)
  }
  const forms = Object.fromEntries(Object.entries(before).filter(([name]) => name.startsWith('forms.')))
  return [compare('service: nodes', before['nodes'] ?? null, nodes), ...compareFacts('service', forms, found)]
}

/** Services that can be started, the type that each says that it has, and what is read of it. */
const SERVICES: Readonly<Record<string, {readonly told: string; readonly ask: Ask}>> = {
  aha: {told: 'ahacell', ask: askAha},
  axon: {told: 'axon', ask: askAxon},
  cortex: {told: 'cortex', ask: askCortex},
  cryotank: {told: 'cryocell', ask: askCryotank},
  jsonstor: {told: 'jsonstorcell', ask: askJsonstor},
}

/** The types of services that a drill can start. */
export const DRILLED_TYPES: readonly string[] = Object.keys(SERVICES)
