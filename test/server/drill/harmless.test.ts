import {mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {parse} from 'yaml'
import {OPTION_NAMES} from '../../../src/config/options.ts'
import {makeHarmless} from '../../../src/server/drill/harmless.ts'

let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-harmless-'))
})
afterEach(() => rm(dir, {recursive: true}))

const write = (name: string, conf: object) => writeFile(join(dir, name), JSON.stringify(conf))
const read = async () => parse(await readFile(join(dir, 'cell.yaml'), 'utf8')) as Record<string, unknown>

/** Whatever leads to others, or lets others in. */
const LEADS =
  /^(aha:(?!network)|mirror|clone|dmon:listen|provision:listen|https:|backup:|bridge:|boothooks:|onboot:|zmq:\w+:port|axon$|jsonstor$)/

describe('the configuration of what is drilled', () => {
  test('of a registry loses every option that leads to others', async () => {
    await write('cell.yaml', Object.fromEntries(OPTION_NAMES.map((name) => [name, 'x'])))
    const {taken} = await makeHarmless(dir, 'registry')
    const left = await read()
    for (const [name, value] of Object.entries(left)) if (LEADS.test(name)) expect(value, name).toBeNull()
    expect(left).toMatchObject({safemode: true, bind: '127.0.0.1', 'aha:network': 'x', 'https:port': null})
    expect(taken).toEqual(expect.arrayContaining(['aha:registry', 'mirror', 'clone', 'boothooks:dir', 'dmon:listen']))
  })

  test('of a Synapse service loses all that is not known, and listens on loopback only', async () => {
    await write('cell.yaml', {
      ...{'aha:registry': ['ssl://root@aha.net'], 'aha:provision': 'ssl://x', mirror: 'aha://x', 'nexslog:en': true},
      ...{
        axon: 'aha://axon...',
        jsonstor: 'ssl://js',
        'https:port': 4443,
        'dmon:listen': 'ssl://0.0.0.0',
        'max:bytes': 9,
      },
    })
    const {taken, unread} = await makeHarmless(dir, 'synapse')
    expect(await read()).toEqual({
      ...{'nexslog:en': true, 'max:bytes': 9, safemode: true, 'dmon:listen': 'tcp://127.0.0.1:0', 'https:port': null},
      ...{'limit:disk:free': null, 'health:sysctl:checks': false},
    })
    expect(taken).toEqual(['aha:provision', 'aha:registry', 'axon', 'dmon:listen', 'https:port', 'jsonstor', 'mirror'])
    expect(unread).toEqual([])
  })

  test('loses the stronger file too, whose values count', async () => {
    await write('cell.yaml', {'max:bytes': 9})
    await write('cell.mods.yaml', {'aha:registry': ['ssl://aha'], 'max:bytes': 10})
    expect((await makeHarmless(dir, 'synapse')).taken).toEqual(['aha:registry'])
    expect(await readdir(dir)).toEqual(['cell.yaml'])
    expect(await read()).toMatchObject({'max:bytes': 10})
  })

  test('uses nothing of a file that it cannot read', async () => {
    await writeFile(join(dir, 'cell.yaml'), 'mirror: [aha://x\n')
    expect(await makeHarmless(dir, 'synapse')).toEqual({taken: [], unread: ['cell.yaml']})
    expect(await read()).not.toHaveProperty('mirror')
  })

  test('of an AHA keeps its network, which it does not start without, or takes that of its CA', async () => {
    const given = {
      'aha:network': 'here.net',
      'aha:name': 'aha',
      'aha:registry': 'ssl://x',
      'provision:listen': 'ssl://0.0.0.0',
    }
    await write('cell.yaml', given)
    const {taken} = await makeHarmless(dir, 'aha')
    expect(taken).toEqual(['aha:name', 'aha:registry', 'provision:listen'])
    expect(await read()).toMatchObject({'aha:network': 'here.net', safemode: true, 'dmon:listen': 'tcp://127.0.0.1:0'})
    await write('cell.yaml', {})
    await mkdir(join(dir, 'certs', 'cas'), {recursive: true})
    for (const name of ['there.net.crt', 'there.net.key']) await writeFile(join(dir, 'certs', 'cas', name), '')
    await makeHarmless(dir, 'aha')
    expect(await read()).toMatchObject({'aha:network': 'there.net'})
  })
})
