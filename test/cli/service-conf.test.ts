import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {readServiceConf} from '../../src/cli/service-conf.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-service-conf-'))
})
afterAll(() => rm(dir, {recursive: true}))

async function fileOf(text: string): Promise<string> {
  const file = join(dir, 'more.yaml')
  await writeFile(file, text)
  return file
}

test('the values are those that the service itself would read', async () => {
  const file = await fileOf('limit:disk:free: 3\nhealth:sysctl:checks: no\ninaugural: {users: [{name: visi}]}\n')
  expect(await readServiceConf(file, {'https-port': 1})).toEqual({
    'limit:disk:free': 3,
    'health:sysctl:checks': false,
    inaugural: {users: [{name: 'visi'}]},
  })
  expect(await readServiceConf(await fileOf('# nothing\n'), {})).toEqual({})
})

test.each<[string, Parameters<typeof readServiceConf>[1], string, string]>([
  ['[1]', {}, 'REG_CONFIG_INVALID', 'must be a mapping'],
  ['a: &x 1', {}, 'REG_CONFIG_INVALID', 'line 1'],
  ['aha:network: other.net', {}, 'REG_USAGE', 'the AHA decides it'],
  ['mirror: aha://x', {}, 'REG_USAGE', 'give --mirror LEADER'],
  ['aha:provision: ssl://x', {}, 'REG_USAGE', 'aha:provision cannot be set there'],
  ['aha:user: bob', {user: 'own'}, 'REG_USAGE', 'which --user says too'],
  ['dmon:listen: tcp://127.0.0.1:1', {'dmon-port': 0}, 'REG_USAGE', 'which --dmon-port says too'],
  ['https:port: 1', {'https-port': 2}, 'REG_USAGE', 'which --https-port says too'],
])('%j with %o is refused', async (text, flags, code, message) => {
  const file = await fileOf(text)
  await expect(readServiceConf(file, flags)).rejects.toMatchObject({code, message: expect.stringContaining(message)})
  await expect(readServiceConf(file, flags)).rejects.toThrow(file)
})

test('the same options are taken where no flag says them', async () => {
  const conf = {'aha:user': 'bob', 'dmon:listen': 'tcp://127.0.0.1:1', 'https:port': 1}
  expect(await readServiceConf(await fileOf(JSON.stringify(conf)), {})).toEqual(conf)
})

test('a file that is not there is said to be missing', async () => {
  await expect(readServiceConf(join(dir, 'newp'), {})).rejects.toMatchObject({
    code: 'REG_CONFIG_INVALID',
    message: expect.stringMatching(/newp is not there$/),
  })
})
