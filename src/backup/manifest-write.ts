import {createHash} from 'node:crypto'
import {MANIFEST_FORMAT, type Manifest, type ManifestFile, totalsOf} from './manifest.ts'

/** Files whose text is made at once. */
const BATCH = 256

/** Gives the text of the file, which ends with the SHA-256 of what it says. */
export function encodeManifest(manifest: Manifest): string {
  return [...manifestPieces(manifest)].join('')
}

/** Gives it in pieces: of very many files it is long. */
export function* manifestPieces(manifest: Manifest): Generator<string, void> {
  const [head, tail] = partsOf(manifest)
  yield `${open(indented(head))},\n "files": [`
  let isFirst = true
  for (const batch of batches(manifest)) {
    const text = indented(batch).slice(1, -2).replaceAll('\n', '\n ')
    yield isFirst ? text : `,${text}`
    isFirst = false
  }
  const rest = indented({...tail, digest: manifestDigest(manifest)}).slice(2)
  yield `${isFirst ? '' : '\n '}],\n${rest}\n`
}

/** Gives the SHA-256 of what a manifest says, without its blanks. */
export function manifestDigest(manifest: Manifest): string {
  const hash = createHash('sha256')
  const [head, tail] = partsOf(manifest)
  hash.update(`${open(JSON.stringify(head))},"files":[`)
  let isFirst = true
  for (const batch of batches(manifest)) {
    const text = JSON.stringify(batch).slice(1, -1)
    hash.update(isFirst ? text : `,${text}`)
    isFirst = false
  }
  return hash.update(`],${JSON.stringify(tail).slice(1)}`).digest('hex')
}

/** What stands before the files and behind them, in one order, whatever the order of the caller. */
function partsOf({name, madeAt, madeBy, how, cell, log, ...rest}: Manifest): readonly [head: object, tail: object] {
  const {kind, iden, type, version} = cell
  const {epoch, index, hash} = log
  const {skipped, directories, census, files} = rest
  const head = {
    format: MANIFEST_FORMAT,
    ...{name, madeAt, madeBy, how},
    cell: {kind, iden, type, name: cell.name, version},
    log: {epoch, index, hash},
    ...{skipped, directories, census},
  }
  return [head, {totals: totalsOf(files)}]
}

function* batches({files}: Manifest): Generator<readonly ManifestFile[], void> {
  for (let at = 0; at < files.length; at += BATCH) {
    const some = files.slice(at, at + BATCH)
    yield some.map(({path, size, allocated, sha256}) => ({path, size, allocated, sha256}))
  }
}

function indented(value: object): string {
  return JSON.stringify(value, undefined, 1)
}

/** Takes the end off the text of an object. */
function open(text: string): string {
  return text.replace(/\n?\}$/, '')
}
