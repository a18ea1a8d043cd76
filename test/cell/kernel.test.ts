import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, expect, test} from 'vitest'
import {adviseKernel, hasSwap, type KernelParameters, readKernelParameters} from '../../src/cell/kernel.ts'
import {KernelCheck} from '../../src/cell/kernel-check.ts'

const RIGHT: KernelParameters = {
  'vm.swappiness': 10,
  'vm.dirty_expire_centisecs': 3000,
  'vm.dirty_writeback_centisecs': 500,
  'vm.dirty_background_ratio': 10,
  'vm.dirty_background_bytes': 0,
  'vm.dirty_ratio': 20,
  'vm.dirty_bytes': 0,
  'net.core.somaxconn': 4096,
}

const dirs: string[] = []
afterEach(async () => {
  for (const dir of dirs.splice(0)) await rm(dir, {recursive: true})
})

test("nothing is to be set where nothing costs anything; write-back is nobody's business", () => {
  expect(adviseKernel(RIGHT, true)).toEqual([])
  expect(adviseKernel({...RIGHT, 'vm.dirty_expire_centisecs': 6000}, true)).toEqual([])
})

test('swapping matters only where there is swap', () => {
  const eager = {...RIGHT, 'vm.swappiness': 60}
  expect(adviseKernel(eager, true)).toMatchObject([{parameter: 'vm.swappiness', actual: 60, wanted: 10}])
  expect(adviseKernel(eager, false)).toEqual([])
})

test('a short queue of connections is named with the value to set', () => {
  const short = {...RIGHT, 'net.core.somaxconn': 128}
  expect(adviseKernel(short, false)).toMatchObject([{parameter: 'net.core.somaxconn', actual: 128, wanted: 4096}])
})

test('what the kernel does not have is null and no advice', async () => {
  const proc = await mkdtemp(join(tmpdir(), 'kernel-'))
  dirs.push(proc)
  await mkdir(join(proc, 'sys', 'vm'), {recursive: true})
  await writeFile(join(proc, 'sys', 'vm', 'swappiness'), '60\n')
  await writeFile(join(proc, 'meminfo'), 'MemTotal:  100 kB\nSwapTotal:       1024 kB\n')
  const parameters = await readKernelParameters(proc)
  expect(parameters['vm.swappiness']).toBe(60)
  expect(parameters['net.core.somaxconn']).toBeNull()
  expect(await hasSwap(proc)).toBe(true)
  expect(await hasSwap(join(proc, 'nowhere'))).toBe(false)
  expect(adviseKernel(parameters, false)).toEqual([])
})

test('each state is said once, with the command that sets it, and that it is right again', async () => {
  let parameters: KernelParameters = {...RIGHT, 'net.core.somaxconn': 128}
  const logged: [string, unknown][] = []
  const log = (event: string, fields?: unknown) => logged.push([event, fields])
  const source = {parameters: async () => parameters, hasSwap: async () => false}
  const check = new KernelCheck({warning: log, info: log}, source)
  await check.start()
  await check.check()
  expect(logged).toMatchObject([['kernel.parameter', {actual: 128, run: 'sysctl -w net.core.somaxconn=4096'}]])
  parameters = RIGHT
  await check.check()
  await check.check()
  check.stop()
  expect(logged.slice(1)).toEqual([['kernel.right', {}]])
})
