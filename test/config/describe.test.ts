import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterEach, beforeEach, describe, expect, test} from 'vitest'
import {configJsonSchema, describeConfigMarkdown, explainOption, optionStates} from '../../src/config/describe.ts'
import {inspectConf} from '../../src/config/load.ts'
import {OPTION_NAMES} from '../../src/config/options.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'registry-config-'))
})
afterEach(() => rm(dir, {recursive: true}))

async function inspect(yaml: string, env: Record<string, string> = {}) {
  await writeFile(join(dir, 'cell.yaml'), yaml)
  return inspectConf({dir, env})
}

describe('the values in force', () => {
  test('are those that were set, as they would stand in cell.yaml', async () => {
    const checked = await inspect(
      'lease:grace: 1:30\ncleanup:interval: 1.5\nzmq:reply:within: 0.25\nzmq:hb:port: null\nnexslog:async: no\n',
      {
        SYN_AHA_BACKEND: 'memory',
      },
    )
    expect(optionStates(checked, false)).toEqual({
      'zmq:hb:port': {value: null, origin: 'file', from: `${dir}/cell.yaml line 4`},
      'zmq:reply:within': {value: '250ms', origin: 'file', from: `${dir}/cell.yaml line 3`},
      'lease:grace': {value: '90s', origin: 'file', from: `${dir}/cell.yaml line 1`},
      'cleanup:interval': {value: '1500ms', origin: 'file', from: `${dir}/cell.yaml line 2`},
      backend: {value: 'memory', origin: 'variable', from: 'SYN_AHA_BACKEND'},
      'nexslog:async': {
        value: false,
        origin: 'file',
        from: `${dir}/cell.yaml line 5`,
        note: 'No effect: the peer ignores it as well.',
      },
    })
  })

  test('with the defaults, put into a file, are the same configuration', async () => {
    const first = await inspect('')
    const states = optionStates(first, true)
    const yaml = Object.entries(states).map(([name, {value}]) => `${name}: ${JSON.stringify(value)}\n`)
    const second = await inspect(yaml.join(''))
    expect(second.problems).toEqual([])
    expect(second.conf).toEqual(first.conf)
  })
})

describe('an explanation', () => {
  test('says everything about an option, and who overrides whom', async () => {
    await writeFile(join(dir, 'cell.mods.yaml'), 'zmq:rate: 4\n')
    const checked = await inspect('zmq:rate: 1\n', {SYN_AHA_ZMQ_RATE: '2', SYN_REGISTRY_ZMQ_RATE: '3'})
    expect(explainOption('zmq:rate', checked)).toEqual({
      name: 'zmq:rate',
      about: 'Messages taken per second from one connection; the excess is answered with an error.',
      type: 'a whole number of messages per second from 1 to 10000000',
      default: '50000',
      example: 'zmq:rate: 5000',
      variables: ['SYN_REGISTRY_ZMQ_RATE', 'SYN_AHA_ZMQ_RATE', 'SYN_AHACELL_ZMQ_RATE'],
      flag: '--zmq-rate <value>',
      effect: 'A changed value is applied by SIGHUP.',
      state: {value: 4, origin: 'file', from: `${dir}/cell.mods.yaml line 1`},
      settings: [
        {value: '4', from: `${dir}/cell.mods.yaml line 1`},
        {value: '3', from: 'SYN_REGISTRY_ZMQ_RATE'},
        {value: '2', from: 'SYN_AHA_ZMQ_RATE'},
        {value: '1', from: `${dir}/cell.yaml line 1`},
      ],
      problems: [],
    })
  })

  test('is given of a wrong value too, and shows no secret', async () => {
    const checked = await inspect('auth:passwd: [hunter2]\nzmq:rate: 0\n')
    const passwd = explainOption('auth:passwd', checked)
    expect(passwd).toMatchObject({
      default: 'null',
      flag: null,
      effect: 'A changed value needs a restart.',
      settings: [{value: '(not shown)'}],
    })
    expect(passwd.problems).toHaveLength(1)
    expect(JSON.stringify([passwd, optionStates(checked, true)])).not.toContain('hunter2')
    expect(explainOption('zmq:rate', checked).problems).toEqual([expect.stringContaining('(got 0, from')])
  })

  test.each(OPTION_NAMES)('of %s has no gaps', async (name) => {
    const explanation = explainOption(name, await inspect(''))
    expect(explanation.type).not.toBe('')
    expect(explanation.effect).toMatch(/\.$/)
    expect(explanation.example).toMatch(new RegExp(`^${name}: .`))
  })
})

describe('what is derived from the table', () => {
  test('the page names every option', () => {
    const page = describeConfigMarkdown()
    for (const name of OPTION_NAMES) expect(page).toMatch(new RegExp(`^(### ${name}$|\\| \`${name}\` \\|)`, 'm'))
  })

  test('the schema has every option with its type', () => {
    const schema = configJsonSchema() as {properties: Record<string, object>}
    expect(Object.keys(schema.properties)).toEqual([...OPTION_NAMES])
    expect(schema).toMatchObject({
      additionalProperties: false,
      properties: {
        bind: {type: 'string'},
        'zmq:req:port': {type: ['integer', 'null'], minimum: 0, maximum: 65_535},
        'zmq:types:unique': {type: 'boolean'},
        'lease:grace': {type: ['number', 'string']},
        'discover:strategy': {enum: ['random', 'round-robin', 'least-recent']},
        clone: {type: ['string', 'null']},
        'backup:dir': {type: ['string', 'null']},
        'onboot:optimize': {type: 'boolean'},
        'max:users': {type: 'integer', minimum: 0},
      },
    })
  })
})
