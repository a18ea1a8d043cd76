import {readFile} from 'node:fs/promises'

/** What is reported: the peers' list, and what matters here. */
const REPORTED = [
  'vm.swappiness',
  'vm.dirty_expire_centisecs',
  'vm.dirty_writeback_centisecs',
  'vm.dirty_background_ratio',
  'vm.dirty_background_bytes',
  'vm.dirty_ratio',
  'vm.dirty_bytes',
  'net.core.somaxconn',
] as const

type Parameter = (typeof REPORTED)[number]

/** Null where the kernel has no such parameter. */
export type KernelParameters = Readonly<Record<Parameter, number | null>>

/** A parameter with a value that costs something. */
export interface KernelAdvice {
  readonly parameter: Parameter
  readonly actual: number
  /** Value to set. */
  readonly wanted: number
  readonly why: string
}

/** Connections that the kernel may keep for a listener until the program takes them; Node asks for so many. */
const BACKLOG = 511
/** The kernel's way of saying that memory of programs is written to the swap only when nothing else is left to give. */
const SWAPPINESS = 10

/**
 * Says which parameters to set. Unlike the peers we do not ask for shorter write-back (`vm.dirty_*`): theirs bounds what a crash of the
 * system loses, and here nothing is acknowledged before it was synced. What matters is that answers come within 500 ms, when clients give up:
 * memory that was swapped out takes longer, and a connection that found the queue full tries again only after a second.
 */
export function adviseKernel(parameters: KernelParameters, hasSwap: boolean): readonly KernelAdvice[] {
  const advice: KernelAdvice[] = []
  const swappiness = parameters['vm.swappiness']
  if (hasSwap && swappiness !== null && swappiness > SWAPPINESS) {
    const why = 'memory that was swapped out makes answers late'
    advice.push({parameter: 'vm.swappiness', actual: swappiness, wanted: SWAPPINESS, why})
  }
  const backlog = parameters['net.core.somaxconn']
  if (backlog !== null && backlog < BACKLOG) {
    const why = 'when all clients connect again at once, some wait a second and more'
    advice.push({parameter: 'net.core.somaxconn', actual: backlog, wanted: 4096, why})
  }
  return advice
}

/** Reads the parameters of the running kernel. */
export async function readKernelParameters(proc = '/proc'): Promise<KernelParameters> {
  const entries = REPORTED.map(async (name) => [name, await readNumber(`${proc}/sys/${name.replaceAll('.', '/')}`)])
  return Object.fromEntries(await Promise.all(entries)) as KernelParameters
}

/** Tells whether the machine has any swap. */
export async function hasSwap(proc = '/proc'): Promise<boolean> {
  const text = await readFile(`${proc}/meminfo`, 'utf8').catch(() => '')
  return Number(/^SwapTotal:\s+([0-9]+)/m.exec(text)?.[1] ?? 0) > 0
}

async function readNumber(path: string): Promise<number | null> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return /^[0-9]+\s*$/.test(text) ? Number(text) : null
}
