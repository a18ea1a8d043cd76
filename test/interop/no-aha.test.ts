// The stock tools for AHA, against a registry that is none.
import {afterAll, beforeAll, expect, test} from 'vitest'
import {startServer, type TestServer} from '../support/server.ts'
import {showLogsWhenFailed} from './synapse-logs.ts'
import {runTool} from './synapse-world.ts'

let server: TestServer

showLogsWhenFailed()

beforeAll(async () => {
  server = await startServer({})
})
afterAll(() => server?.[Symbol.asyncDispose]())

test('aha.list says that it is no AHA', async () => {
  const url = `cell://${server.dir}`
  const {status, stdout} = await runTool('aha.list', [url], {home: server.dir})
  expect({status, stdout}).toEqual({status: 1, stdout: `Service at ${url} is not an Aha server\n`})
})

test('aha.mirror, which looks for a feature first, says that it has not got it', async () => {
  const url = `cell://${server.dir}`
  const {status, stdout} = await runTool('aha.mirror', ['--url', url], {home: server.dir})
  expect({status, stdout}).toEqual({
    status: 1,
    stdout: `Service at ${url} does not support the required callpeers feature.\n`,
  })
})

test('aha.provision.service says that there is no such method', async () => {
  const url = `cell://${server.dir}`
  const {status, stdout} = await runTool('aha.provision.service', ['--url', url, '00.axon'], {home: server.dir})
  expect({status, stdout}).toEqual({status: 1, stdout: 'ERROR: CellApi has no method: addAhaSvcProv.\n'})
})
