import {spawnSync} from 'node:child_process'
import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'

const RUNNER = fileURLToPath(new URL('../../bin/dev.js', import.meta.url))

let good: string
let bad: string
beforeAll(async () => {
  good = await mkdtemp(join(tmpdir(), 'registry-config-good-'))
  await writeFile(join(good, 'cell.yaml'), 'zmq:req:port: 4242\nnexslog:async: false\n')
  await writeFile(join(good, 'cell.mods.yaml'), 'zmq:req:port: 4299\n')
  bad = await mkdtemp(join(tmpdir(), 'registry-config-bad-'))
  await writeFile(join(bad, 'cell.yaml'), 'zmq:rate: 0\nzmq:rat: 1\n')
})
afterAll(async () => {
  await rm(good, {recursive: true})
  await rm(bad, {recursive: true})
})

function config(...args: string[]) {
  const env = {PATH: process.env['PATH'], HOME: good, NO_COLOR: '1', REGISTRY_DIR: good, SYN_AHA_ZMQ_REQ_PORT: '77'}
  const {status, stdout, stderr} = spawnSync(process.execPath, [RUNNER, 'config', ...args], {encoding: 'utf8', env})
  return {status, stdout, stderr}
}

describe('config show', () => {
  test('shows what was set, where, and warns on stderr', () => {
    const {status, stdout, stderr} = config('show')
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['OPTION', 'VALUE', 'FROM'],
      ['zmq:req:port', '4299', `${good}/cell.mods.yaml line 1`],
      ['nexslog:async', 'false', `${good}/cell.yaml line 2`],
      [''],
    ])
    expect(stderr).toMatch(/^warning: nexslog:async has no effect here/)
    expect(status).toBe(0)
  })

  test('shows the defaults with --all, and nothing but JSON with --json', () => {
    const {status, stdout, stderr} = config('show', '--all', '--json')
    const {dir, options} = JSON.parse(stdout)
    expect(dir).toBe(good)
    expect(options).toMatchObject({
      bind: {value: '127.0.0.1', origin: 'default', from: 'default'},
      'zmq:req:port': {value: 4299, origin: 'file', from: `${good}/cell.mods.yaml line 1`},
    })
    expect({status, stderr}).toEqual({status: 0, stderr: ''})
  })

  test('refuses a configuration that is wrong', () => {
    const {status, stdout, stderr} = config('show', bad)
    expect({status, stdout}).toEqual({status: 2, stdout: ''})
    expect(stderr).toContain('2 things are wrong in the configuration')
  })
})

describe('config explain', () => {
  test('names who sets the option and whom that overrides', () => {
    const {status, stdout} = config('explain', '--', '--zmq-req-port')
    expect(stdout).toMatch(/value now +4299\n/)
    expect(stdout).toMatch(/set by +.*\/cell\.mods\.yaml line 1\n/)
    expect(stdout).toMatch(/overrides +77 from SYN_AHA_ZMQ_REQ_PORT\n +4242 from .*\/cell\.yaml line 1\n/)
    expect(status).toBe(0)
  })

  test('works on a configuration that is wrong, and says what', () => {
    const {status, stdout} = config('explain', 'zmq:rate', '--dir', bad, '--json')
    expect(JSON.parse(stdout).problems).toEqual([expect.stringContaining('got 0,')])
    expect(status).toBe(0)
  })

  test('suggests the nearest option', () => {
    const {status, stderr} = config('explain', 'lease:grase')
    expect(stderr).toContain('did you mean lease:grace?')
    expect(stderr).toContain('registry config explain lease:grace')
    expect(status).toBe(3)
  })
})

describe('config validate', () => {
  test('says that all is well, and which files that holds for', () => {
    expect(config('validate')).toMatchObject({
      status: 0,
      stdout: `The configuration is valid (${good}/cell.yaml, ${good}/cell.mods.yaml).\n`,
    })
    const {stdout} = config('validate', '--json')
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      dir: good,
      warnings: [{kind: 'peer-only', name: 'nexslog:async'}],
    })
    expect(config('validate', join(good, 'nowhere')).stdout).toMatch(
      /There is neither cell\.yaml nor cell\.mods\.yaml in /,
    )
  })

  test('names everything that is wrong, in JSON too', () => {
    const {status, stdout} = config('validate', bad, '--json')
    const {error} = JSON.parse(stdout)
    expect(error.code).toBe('REG_CONFIG_INVALID')
    expect(error.info.problems).toEqual([
      {
        option: 'zmq:rat',
        message: expect.stringContaining('did you mean zmq:rate?'),
        origin: `${bad}/cell.yaml line 2`,
      },
      {option: 'zmq:rate', message: expect.stringContaining('got 0,'), origin: `${bad}/cell.yaml line 1`},
    ])
    expect(status).toBe(2)
  })
})
