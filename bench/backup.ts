// How fast a service is backed up, verified and restored, by the built commands, beside what the system has for it: `cp -r` and `sync` of the same
// tree, and `sha256sum` of it. The same with an archive. In alternating rounds, on the volume of the temporary directory.
import {spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {readFileSync} from 'node:fs'
import {mkdtemp, readdir, rm, stat} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {lockCellDir} from '../src/cell/dirs.ts'
import {SqliteStore} from '../src/store/sqlite.ts'
import type {NewEntry} from '../src/store/store.ts'
import {type Line, line, median, rounds, shown} from './report.ts'

const LAUNCHER = new URL('../bin/registry', import.meta.url).pathname
const BYTES = 2e9
const ENTRY_BYTES = 8000
const BATCH = 500
const ROUNDS = 5
const PEAK_EVERY_MS = 10
const MB = 1e6
const MEMORY_LIMIT_MB = 150

/** What one round gave, seconds. */
interface Sample {
  readonly copy: number
  readonly hash: number
  readonly backup: Run
  readonly verify: Run
  readonly restore: Run
  readonly archive: Run
  readonly archiveVerify: Run
  readonly archiveRestore: Run
}

/** The commands, in the order of a note. */
const COMMANDS = ['backup', 'verify', 'restore', 'archive', 'archiveVerify', 'archiveRestore'] as const

interface Run {
  readonly seconds: number
  readonly peakMb: number
}

export async function* measureBackup(count: number): AsyncGenerator<Line> {
  const folder = await mkdtemp(join(tmpdir(), 'registry-bench-'))
  try {
    const source = join(folder, 'source')
    await fillRegistry(source)
    const {size} = await stat(join(source, 'registry.db'))
    const samples: Sample[] = []
    for (let round = 0; round < Math.max(count, ROUNDS); round++) samples.push(await measureRound(folder, source))
    const slower = ({copy, hash}: Sample) => Math.max(copy, hash)
    const of = (pick: (sample: Sample) => number) => samples.map(pick)
    const beside = `cp -r and sync ${shown(median(of(({copy}) => copy)))} s, sha256sum ${shown(median(of(({hash}) => hash)))} s`
    for (const what of ['backup', 'restore'] as const) {
      const ratios = of((sample) => slower(sample) / sample[what].seconds)
      const rate = `${shown(size / MB / median(of((sample) => sample[what].seconds)))} MB/s`
      const name = `${what === 'backup' ? 'offline backup' : 'restore'} of a registry of 2 GB beside the slower of cp and sha256sum`
      yield line(name, median(ratios), 'x', {atLeast: 0.7}, `${rate}; ${beside}; ${rounds(ratios)}`)
    }
    for (const what of ['verify', 'archiveVerify'] as const) {
      const ratios = of((sample) => sample.hash / sample[what].seconds)
      const rate = `${shown(size / MB / median(of((sample) => sample[what].seconds)))} MB/s`
      const name = what === 'verify' ? 'verify of 2 GB' : 'verify of an archive of 2 GB'
      yield line(`${name} beside sha256sum`, median(ratios), 'x', {atLeast: 0.8}, `${rate}; ${rounds(ratios)}`)
    }
    const archived = median(of(({archive}) => archive.seconds))
    const peaks = COMMANDS.map((what) => median(of((sample) => sample[what].peakMb)))
    const note = `peak of the process: backup, verify, restore ${peaks.slice(0, 3).map(shown).join(', ')}, with an archive ${peaks.slice(3).map(shown).join(', ')}; backup to an archive ${shown(size / MB / archived)} MB/s`
    yield line('memory of the command, the largest', Math.max(...peaks), 'MB', {atMost: MEMORY_LIMIT_MB}, note)
  } finally {
    await rm(folder, {recursive: true})
  }
}

async function measureRound(folder: string, source: string): Promise<Sample> {
  const at = (name: string) => join(folder, name)
  const [copied, backup, target, archive] = [at('copied'), at('backup'), at('target'), at('backup.tar.zst')]
  try {
    const copy = (await run('/bin/sh', '-c', `cp -r "$1" "$2" && sync -f "$2"`, 'sh', source, copied)).seconds
    await rm(copied, {recursive: true})
    const made = await run(LAUNCHER, 'backup', source, backup, '--json')
    const hash = (await run('/bin/sh', '-c', 'find "$1" -type f -exec sha256sum {} +', 'sh', backup)).seconds
    const verify = await run(LAUNCHER, 'backup', 'verify', backup, '--json')
    const restore = await run(LAUNCHER, 'restore', backup, target, '--yes', '--json')
    for (const place of [backup, target]) await rm(place, {recursive: true})
    const archived = await run(LAUNCHER, 'backup', source, archive, '--archive', '--json')
    const archiveVerify = await run(LAUNCHER, 'backup', 'verify', archive, '--json')
    const archiveRestore = await run(LAUNCHER, 'restore', archive, target, '--yes', '--json')
    return {copy, hash, backup: made, verify, restore, archive: archived, archiveVerify, archiveRestore}
  } finally {
    for (const name of await readdir(folder)) if (name !== 'source') await rm(join(folder, name), {recursive: true})
  }
}

/** Runs a program to its end, and looks at its memory meanwhile. */
async function run(program: string, ...args: readonly string[]): Promise<Run> {
  const began = performance.now()
  const child = spawn(program, args, {stdio: ['ignore', 'pipe', 'inherit'], env: {...process.env, SYN_DIR: undefined}})
  const said = text(child.stdout)
  let peakMb = 0
  const look = setInterval(() => {
    peakMb = Math.max(peakMb, peakOf(child.pid))
  }, PEAK_EVERY_MS)
  const [status] = await once(child, 'exit')
  clearInterval(look)
  const seconds = (performance.now() - began) / 1000
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${await said}`)
  return {seconds, peakMb}
}

/** Most memory that a process ever had resident, millions of bytes; 0 when it is gone. */
function peakOf(pid: number | undefined): number {
  try {
    const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0
    return (Number(kib) * 1024) / MB
  } catch {
    return 0
  }
}

/** Makes a registry whose log has some 2 GB, and nothing that packs well. */
async function fillRegistry(dir: string): Promise<void> {
  await using cell = await lockCellDir(dir)
  await using store = new SqliteStore(cell.storePath)
  await store.open()
  for (let bytes = 0; bytes < BYTES; bytes += BATCH * ENTRY_BYTES) {
    await store.append(Array.from({length: BATCH}, () => change()))
  }
}

function change(): NewEntry {
  const metadata = {host: '10.0.0.1', port: 5000, filler: randomBytes((ENTRY_BYTES * 3) / 4 - 100).toString('base64')}
  const service = JSON.stringify({id: 'cam-1', name: 'cam', type: 'camera', metadata})
  return {
    timeMs: 1_700_000_000_000,
    actor: 'zmq:anon/006b8b4567',
    change: `{"v":1,"kind":"register","service":${service}}`,
    effect: {kind: 'put', instance: {seq: 1, service: '{}', lastHeartbeatS: 1_700_000_000}},
  }
}
