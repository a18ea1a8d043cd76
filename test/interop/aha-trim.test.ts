// The change logs of real services are trimmed: of a Cortex with a mirror, of one whose mirror is away, of services without mirrors. The order of what
// happens is that of `flows/trim.txt`: both are asked first, the leader rotates, the mirror follows, both drop the same entries.
import {readdir} from 'node:fs/promises'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import type {ErrorReport} from '../../src/cli/error-report.ts'
import type {TrimReport} from '../../src/cli/trim-run.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {isDown, OurDeployment} from './our-deployment.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'

const [FIRST, SECOND] = ['00.cortex.loop.test', '01.cortex.loop.test'] as const

let net: OurDeployment

showLogsWhenFailed()

beforeAll(async () => {
  net = await OurDeployment.start({mirror: true})
})
afterAll(() => net?.[Symbol.asyncDispose]())

async function trim(...args: readonly string[]): Promise<TrimReport> {
  const {status, stdout, stderr} = await net.registry(['trim', ...args, '--json'])
  if (status !== 0) throw new Error(`trim ${args.join(' ')} ended with ${status}: ${stdout}\n${stderr}`)
  return JSON.parse(stdout) as TrimReport
}

async function refused(...args: readonly string[]) {
  const {status, stdout} = await net.registry(['trim', ...args, '--json'])
  return {status, ...(JSON.parse(stdout) as {readonly error: ErrorReport})}
}

const indexOf = async (name: string) => Number(await net.ask(name, 'getNexsIndx'))

/** Every file of the log of a service, by its first offset. */
async function filesOf(name: string): Promise<readonly number[]> {
  const names = await readdir(join(net.of(name).dir, 'slabs', 'nexuslog'))
  return names.flatMap((file) =>
    /^seqn([0-9a-f]{16})\.lmdb$/.exec(file)?.[1] ? [Number.parseInt(file.slice(4, 20), 16)] : [],
  )
}

async function grow(name: string, count: number): Promise<void> {
  for (let done = 0; done < count; done++) await net.ask(name, 'setUserEmail', rootIden, `root${done}@loop.test`)
}

let rootIden = ''
beforeAll(async () => {
  const root = (await net.ask('00.cortex', 'getUserDefByName', 'root')) as Readonly<Record<string, Value>>
  rootIden = String(root['iden'])
})

describe('the log of a leader with a mirror', () => {
  test('is shown, and left as it is, by a dry run', async () => {
    const index = await indexOf('00.cortex')
    const report = await trim('aha://cortex...', '--dry-run')
    expect(report).toMatchObject({
      ...{changed: false, dryRun: true, service: FIRST, trimmedTo: index - 1, after: null, warnings: []},
      before: {index, oldest: 0, bytes: expect.any(Number), bytesOf: 'cell'},
      followers: [{name: SECOND, index, behind: 0, awaited: true, why: null}],
    })
    expect(await indexOf('00.cortex')).toBe(index)
  })

  test('is not trimmed unasked, nor at the mirror', async () => {
    expect(await refused('aha://cortex...')).toMatchObject({status: 2, error: {code: 'REG_USAGE'}})
    expect(await refused('aha://01.cortex...', '--yes')).toMatchObject({
      status: 5,
      error: {message: expect.stringContaining(`${SECOND} does not lead`), hints: [`registry trim aha://${FIRST}`]},
    })
    expect(await refused('aha://cortex...', '--keep-for', '7d', '--yes')).toMatchObject({
      status: 2,
      error: {message: expect.stringContaining('does not say when')},
    })
  })

  test('is trimmed at both, with two entries more, as the peer does it', async () => {
    const index = await indexOf('00.cortex')
    const report = await trim(net.of('00.cortex').cellUrl, '--yes')
    expect(report).toMatchObject({
      ...{changed: true, trimmedTo: index, warnings: []},
      before: {index, oldest: 0, bytesOf: 'log'},
      after: {index: index + 2, oldest: index + 1, bytesOf: 'log'},
      followers: [{name: SECOND, awaited: true}],
    })
    expect(await net.ask('01.cortex', 'waitNexsOffs', index + 1, 10)).toBe(true)
    expect([await filesOf('00.cortex'), await filesOf('01.cortex')]).toEqual([[index + 1], [index + 1]])
  })

  test('keeps the newest entries, and drops whole files', async () => {
    await grow('00.cortex', 30)
    const first = await indexOf('00.cortex')
    const report = await trim('aha://cortex...', '--keep', '10', '--yes')
    expect(report).toMatchObject({trimmedTo: first - 11, after: {index: first + 2, oldest: first - 10}})
    await grow('00.cortex', 12)
    const files = await filesOf('00.cortex')
    expect(files).toHaveLength(2)
    const again = await trim('aha://cortex...', '--keep', '10', '--yes')
    expect(again.after?.oldest).toBe(again.before.index - 10)
    expect(await net.ask('01.cortex', 'waitNexsOffs', (again.after?.index ?? 0) - 1, 10)).toBe(true)
    // The first file went, that of before is still there in part, and a new one was begun.
    expect(await filesOf('00.cortex')).toEqual([files[1], again.before.index + 1])
    expect(await filesOf('01.cortex')).toEqual(await filesOf('00.cortex'))
    const idle = await trim('aha://cortex...', '--keep', '1000', '--yes')
    expect(idle).toMatchObject({changed: false, trimmedTo: null, after: null})
  })

  test('waits for others too, and names one that is not there', async () => {
    const index = await indexOf('00.cortex')
    const away = await refused('aha://cortex...', '--consumer', 'aha://09.search...', '--yes')
    expect(away).toMatchObject({
      status: 6,
      error: {
        message: expect.stringMatching(
          /does not reach one of those who follow its log: .*09\.search.*nothing was changed/,
        ),
      },
    })
    const behind = await refused('aha://cortex...', '--consumer', 'aha://axon...', '--timeout', '1s', '--yes')
    expect(behind).toMatchObject({
      status: 7,
      error: {
        message: expect.stringMatching(/^aha:\/\/axon\.\.\. has not got entry \d+ in time: .*nothing was dropped$/),
      },
    })
    expect(await indexOf('00.cortex')).toBe(index + 1)
    const kept = await refused(
      'aha://cortex...',
      '--consumer',
      'aha://axon...',
      '--keep',
      '3',
      '--timeout',
      '1s',
      '--yes',
    )
    expect(kept).toMatchObject({
      status: 7,
      error: {message: expect.stringContaining('aha://axon... is behind: it is at index')},
    })
    expect(await indexOf('00.cortex')).toBe(index + 1)
  })

  test('is not trimmed while the mirror is away, unless it is to be cut off', async () => {
    await net.of('01.cortex').kill()
    await net.until('01.cortex', isDown)
    await grow('00.cortex', 3)
    const index = await indexOf('00.cortex')
    expect(await refused('aha://cortex...', '--yes')).toMatchObject({
      status: 6,
      error: {message: expect.stringContaining(`${SECOND} is offline: `), info: {away: [SECOND]}},
    })
    expect(await indexOf('00.cortex')).toBe(index)
    const report = await trim('aha://cortex...', '--force', '--yes')
    expect(report).toMatchObject({
      trimmedTo: index,
      warnings: [`${SECOND} is offline; ${SECOND} is cut off, and must be made anew`],
      followers: [{name: SECOND, index: null, awaited: false, why: `${SECOND} is offline`}],
    })
  })
})

describe.each(['axon', 'jsonstor'] as const)('the log of %s', (name) => {
  test('is not kept without a mirror: there is nothing to trim', async () => {
    await net.ask(`00.${name}`, 'addRole', 'ops')
    const {stdout, status} = await net.registry(['trim', `aha://${name}...`, '--yes'])
    expect([status, stdout]).toEqual([0, expect.stringContaining(`00.${name}.loop.test keeps no entries\n`)])
  })

  test('is trimmed at the leader and its mirror', async () => {
    await net.service(name, `01.${name}`, {asked: ['--mirror', name]})
    await net.ask(`00.${name}`, 'addRole', 'more')
    const index = await indexOf(`00.${name}`)
    const report = await trim(`aha://${name}...`, '--yes')
    expect(report).toMatchObject({trimmedTo: index, before: {index}, after: {index: index + 2, oldest: index + 1}})
    expect(await net.ask(`01.${name}`, 'waitNexsOffs', index + 1, 10)).toBe(true)
    expect([await filesOf(`00.${name}`), await filesOf(`01.${name}`)]).toEqual([[index + 1], [index + 1]])
    await net.ask(`00.${name}`, 'addRole', 'later')
    const {stdout} = await net.registry(['trim', `aha://${name}...`, '--yes'])
    expect(stdout).toContain(`entries ${index + 1} to ${index + 3} of 00.${name}.loop.test are gone\n`)
    expect(stdout).toMatch(new RegExp(`^index +${index + 3} +${index + 5}$`, 'm'))
    expect(stdout).toMatch(new RegExp(`^01.${name}.loop.test +${index + 3} +0  yes$`, 'm'))
  })
})
