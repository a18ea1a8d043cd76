import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {beforeEach, describe, expect, onTestFinished, test} from 'vitest'
import {loadConf} from '../../src/config/load.ts'
import {checkAhaUrls, checkProvisioned, writeProvisioned} from '../../src/config/provisioned.ts'

const GUID = '20ed1a3500a8122ddbc34c192ba60f0b'
const AHA = 'ssl://aha.demo.net:27272'
const CONF = {
  'aha:user': 'root',
  'aha:network': 'demo.net',
  'aha:name': '00.registry',
  'dmon:listen': 'ssl://0.0.0.0:0?hostname=00.registry.demo.net&ca=demo.net',
  'aha:leader': 'registry',
  'aha:registry': ['ssl://aha.demo.net:27492?certname=root@demo.net'],
}
const YAML = '# Mine.\nlease:grace: 5s # short\naha:provision: ssl://aha/x\naha:user: old # was mine\n'
const MODS = '# At run time.\naha:leader: other\nlog:level: debug\n'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-provisioned-'))
  await writeFile(join(dir, 'cell.yaml'), YAML)
  await writeFile(join(dir, 'cell.mods.yaml'), MODS)
  const made = dir
  onTestFinished(() => rm(made, {recursive: true}))
})

const read = (name: string) => readFile(join(dir, name), 'utf8')
const refusal = (conf: Readonly<Record<string, unknown>>) =>
  checkProvisioned({dir, env: {}}, {conf: {...CONF, ...conf}, aha: AHA}, GUID).catch((error: Error) => error.message)

describe('what an AHA gives a service', () => {
  test('goes into cell.yaml, out of cell.mods.yaml, and leaves comments and all else', async () => {
    const given = {conf: CONF, aha: AHA}
    await checkProvisioned({dir, env: {}}, given, GUID)
    expect([await read('cell.yaml'), await read('cell.mods.yaml')]).toEqual([YAML, MODS])
    await writeProvisioned(dir, given)
    const written = await read('cell.yaml')
    expect(written.startsWith(YAML.replace('old # was mine', 'root # was mine'))).toBe(true)
    expect(await read('cell.mods.yaml')).toBe('# At run time.\nlog:level: debug\n')
    const {conf} = await loadConf({dir, env: {}})
    expect(conf).toMatchObject({...CONF, 'lease:grace': 5000, 'log:level': 'debug'})
    await writeProvisioned(dir, given)
    expect(await read('cell.yaml')).toBe(written)
  })

  test('is weaker than variables and flags, as the rest of cell.yaml', async () => {
    await writeProvisioned(dir, {conf: CONF, aha: AHA})
    const {conf} = await loadConf({dir, env: {SYN_AHA_AHA_USER: 'axsvc'}, flags: {'aha-leader': 'mine'}})
    expect(conf).toMatchObject({'aha:user': 'axsvc', 'aha:leader': 'mine'})
  })

  test.each([
    [{'storm:log': true}, `storm:log is not an option (from ${AHA})`],
    [{'https:port': 'many'}, `https:port must be a port from 0 to 65535, or null (got "many", from ${AHA})`],
    [{clone: 'ssl://aha:27272/00'}, 'clone must be ssl://HOST:PORT/32-HEX-DIGITS'],
    [{'dns:name': 'aha.demo.net'}, 'aha:provision is not for an AHA'],
    [{'dmon:listen': 'tcp://0.0.0.0:1'}, 'plain Telepath off loopback'],
    [{'cell:guid': 'f'.repeat(32)}, `cell:guid is not that of this data directory, ${GUID}`],
    [{'zmq:req:port': 5557}, 'must be different ports'],
  ])('%j is refused before anything is written', async (conf, said) => {
    expect(await refusal(conf)).toContain(`${AHA} gives this service a configuration that it cannot have: `)
    expect(await refusal(conf)).toContain(said)
    expect([await read('cell.yaml'), await read('cell.mods.yaml')]).toEqual([YAML, MODS])
  })

  test('takes a mirror of before away, which would be one of another leader', async () => {
    await writeFile(join(dir, 'cell.yaml'), 'mirror: aha://root@old...\n')
    await writeFile(join(dir, 'cell.mods.yaml'), 'mirror: null\n')
    expect(await refusal({})).toBeUndefined()
    await writeProvisioned(dir, {conf: CONF, aha: AHA})
    expect((await read('cell.yaml')) + (await read('cell.mods.yaml'))).not.toContain('mirror')
  })
})

test('URLs that an AHA tells are written only when the next start can read them', () => {
  expect(checkAhaUrls(['ssl://aha:1', 'ssl://01.aha:1'])).toEqual(['ssl://aha:1', 'ssl://01.aha:1'])
  for (const urls of [[], ['aha'], [7], [`ssl://${'a'.repeat(2000)}`], {}]) {
    expect(() => checkAhaUrls(urls)).toThrow('no URLs')
  }
})
