import {describe, expect, test} from 'vitest'
import {RegistryDesk} from '../../src/server/registry-desk.ts'
import {TestApi} from '../support/api.ts'

async function start() {
  const api = await TestApi.start()
  const desk = new RegistryDesk({...api, infoMembers: () => '"req_port":5556'})
  const add = (id: string, name: string) =>
    api.ask({action: 'register', service_info: {id, name, host: 'h', port: 1, type: 't'}})
  return {api, desk, add}
}

describe('the registry, as the methods of the cell reach it', () => {
  test('tells what info of the ZeroMQ protocol tells', async () => {
    const {desk} = await start()
    expect(desk.info()).toEqual({status: 'ok', req_port: 5556})
  })

  test('sets the maintenance of a service by its id, and says what it was', async () => {
    const {api, desk, add} = await start()
    await add('cam-1', 'cam')
    const after = {reason: 'new lens', since: Math.floor(api.clock.wallMs() / 1000), by: 'unix/root'}
    const about = {id: 'cam-1', name: 'cam'}
    expect(await desk.setMaintenance('cam-1', 'new lens', 'unix/root')).toEqual({...about, before: null, after})
    expect(await desk.setMaintenance('cam', undefined, 'unix/root')).toEqual({...about, before: after, after: null})
  })

  test('names no service by a name that several have, and none that is not there', async () => {
    const {desk, add} = await start()
    await add('cam-1', 'cam')
    await add('cam-2', 'cam')
    await expect(desk.setMaintenance('cam', 'x', 'unix/root')).rejects.toMatchObject({
      code: 'REG_CONFLICT',
      info: {ids: ['cam-1', 'cam-2']},
    })
    await expect(desk.setMaintenance('lens', 'x', 'unix/root')).rejects.toMatchObject({code: 'REG_NOT_FOUND'})
  })

  test('says why it does not do so', async () => {
    const {api, desk, add} = await start()
    await add('cam-1', 'cam')
    await expect(desk.setMaintenance('cam-1', '', 'unix/root')).rejects.toMatchObject({code: 'REG_BAD_REQUEST'})
    api.changes.hold('test', 'frozen')
    await expect(desk.setMaintenance('cam-1', 'x', 'unix/root')).rejects.toMatchObject({
      code: 'REG_READ_ONLY',
      message: 'frozen',
    })
  })
})
