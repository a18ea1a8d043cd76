import {Args} from '@oclif/core'
import type {CellWish} from '../cli/cell-command.ts'
import {type Candidate, complete, type HolderKind, type LiveKind} from '../cli/complete.ts'
import {flagValue, holderNames, isHolderKind, liveValues} from '../cli/live-names.ts'
import {PoolCommand} from '../cli/pool-command.ts'
import {candidateLine, readTyped, SHELLS, type Shell, type TypedLine} from '../cli/shells.ts'
import {behindDashes, ownPart} from '../cli/words.ts'

const LIVE_WITHIN_MS = 300 // longer than this, a press of the key feels stuck

export default class Complete extends PoolCommand {
  static override readonly summary = 'Print what may stand at the cursor; called by the scripts of autocomplete.'
  static override readonly hidden = true
  static override readonly args = {shell: Args.string({options: [...SHELLS], required: true})}

  async run(): Promise<readonly Candidate[]> {
    const line = behindDashes(this.argv) // parsing keeps the other part only
    const {args} = await this.parse(Complete, ownPart(this.argv))
    const shell = args.shell as Shell // oclif takes only what stands in `options`
    const typed = readTyped(shell, line)
    const {candidates, live} = complete(typed.words, typed.current, this.config.commands)
    const all = live === undefined ? candidates : [...candidates, ...(await this.#live(live, typed))]
    return this.show(all, () => all.map((candidate) => candidateLine(shell, candidate, typed.current)).join('\n'))
  }

  async #live(kind: LiveKind, {words, current}: TypedLine): Promise<Candidate[]> {
    const prefix = /^--[^=]+=/.exec(current)?.[0] ?? ''
    try {
      const values = await this.#values(kind, words)
      return values.map((value) => ({value: prefix + value, about: ''})).filter(({value}) => value.startsWith(current))
    } catch {
      return [] // A key was pressed: no registry means no names, and an error text would only damage the line.
    }
  }

  async #values(kind: LiveKind, words: readonly string[]): Promise<readonly string[]> {
    if (kind === 'pool') return await this.#pools(words)
    if (kind === 'member') return await this.#members(words)
    if (kind === 'aha') return await this.#ahaUrls(words)
    if (kind === 'backup') return await ownBackups()
    return isHolderKind(kind) ? await this.#holders(kind, words) : liveValues(kind, await this.#services(words))
  }

  async #holders(kind: HolderKind, words: readonly string[]): Promise<string[]> {
    await using admin = await this.openAdmin(cellOf(words))
    return await holderNames(kind, admin, flagValue(words, 'user'))
  }

  async #pools(words: readonly string[]): Promise<string[]> {
    await using admin = await this.openPools(cellOf(words))
    return (await admin.pools()).map(({name}) => name)
  }

  async #members(words: readonly string[]): Promise<readonly string[]> {
    const {unpackMembers} = await import('../client/members.ts')
    await using cell = await this.openCell(cellOf(words))
    const members = unpackMembers(await cell.call('getMembers', {signal: this.signal}))
    return members.filter(({isSelf}) => !isSelf).map(({name}) => name)
  }

  async #ahaUrls(words: readonly string[]): Promise<readonly string[]> {
    const {readNetworkOf} = await import('../cli/network-report.ts')
    await using aha = await this.openCell({...cellOf(words), url: undefined})
    const report = await readNetworkOf(aha, this.signal)
    return report.services.map(({name}) => `aha://${name}`)
  }

  async #services(words: readonly string[]) {
    const url = await this.chooseUrl('registry', {url: flagValue(words, 'url'), dir: flagValue(words, 'dir')})
    const {RegistryClient} = await import('../client/registry-client.ts')
    await using client = new RegistryClient(url, {timeoutMs: LIVE_WITHIN_MS})
    return await client.list()
  }
}

/** Those on the shelf of the data directory; where none of them is meant the shell offers files. */
async function ownBackups(): Promise<readonly string[]> {
  const {shelfDir} = await import('../cli/shelf-dir.ts')
  const {readOwnShelf} = await import('../backup/shelf.ts')
  const items = await readOwnShelf(await shelfDir(undefined), {signal: AbortSignal.timeout(LIVE_WITHIN_MS)})
  return items.filter(({kind}) => kind !== 'incomplete').map(({path}) => path)
}

function cellOf(words: readonly string[]): CellWish {
  return {url: flagValue(words, 'url'), dir: flagValue(words, 'dir'), timeout: LIVE_WITHIN_MS}
}
