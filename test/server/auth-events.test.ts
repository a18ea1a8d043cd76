import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {type AuthEvent, eventsOf} from '../../src/server/auth-events.ts'
import {ACTOR, TestHttps} from '../support/https.ts'

interface Recorded {
  readonly type: string
  readonly data: AuthEvent
}

const RECORDED = readFileSync(new URL('../vectors/https.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as {readonly case: string; readonly beheld?: readonly Recorded[]})
  .find((row) => row.case === 'behold')?.beheld

/** What an event looks like: its name, that of what changed, and which members tell of it. */
function shapeOf({event, info, gates}: AuthEvent): string {
  const members = Object.keys(info).sort().join(',')
  return `${event} ${event.endsWith(':info') ? String(info['name']) : ''} ${members} ${gates === undefined ? '' : 'gates'}`.trim()
}

/** Everything that can be done to users and roles, and the events of it. */
async function allEvents(): Promise<AuthEvent[]> {
  await using https = await TestHttps.start()
  const {users} = https
  const events: AuthEvent[] = []
  users.onChanged((change) => events.push(...eventsOf(change, users)))
  const user = await users.addUser({name: 'visi', passwd: 'Planted-1', email: 'a@b.c'}, ACTOR)
  const role = await users.addRole('readers', undefined, ACTOR)
  const gate = await users.addGate('g1', 'pool', ACTOR)
  await users.setUserName(user.iden, 'visitor', ACTOR)
  await users.setUserEmail(user.iden, 'b@b.c', ACTOR)
  await users.setUserAdmin(user.iden, true, undefined, ACTOR)
  await users.setUserAdmin(user.iden, true, gate.iden, ACTOR)
  await users.setUserRules(user.iden, [[true, ['a']]], undefined, ACTOR)
  await users.setUserRules(user.iden, [[true, ['a']]], gate.iden, ACTOR)
  await users.setUserPasswd(user.iden, 'Planted-2', ACTOR)
  await users.genUserOnepass(user.iden, 1000, ACTOR)
  await users.addUserRole(user.iden, role.iden, undefined, ACTOR)
  await users.addApiKey(user.iden, 'k', undefined, ACTOR)
  await users.setUserArchived(user.iden, true, ACTOR)
  await users.setUserLocked(user.iden, true, ACTOR)
  await users.setRoleName(role.iden, 'writers', ACTOR)
  await users.setRoleRules(role.iden, [[true, ['a']]], undefined, ACTOR)
  await users.setRoleRules(role.iden, [[true, ['a']]], gate.iden, ACTOR)
  await users.delRole(role.iden, ACTOR)
  await users.delUser(user.iden, ACTOR)
  return events
}

describe('events of users and roles', () => {
  test('have the names and members that the peer sends, but for roles that are granted and revoked', async () => {
    const ours = new Set((await allEvents()).map(shapeOf))
    const theirs = (RECORDED ?? []).filter(({type}) => type === 'iter').map(({data}) => shapeOf(data))
    expect(theirs.length).toBeGreaterThan(20)
    const missing = new Set(theirs.filter((shape) => !ours.has(shape)))
    expect([...missing].sort()).toEqual(['user:info role:grant iden,name,role', 'user:info role:revoke iden,name,role'])
  })

  test('tell of each change, of the gate where there is one, and of no password', async () => {
    const events = await allEvents()
    expect(events.map(shapeOf)).toEqual([
      'user:add  admin,archived,authgates,email,iden,locked,name,roles,rules,type',
      'role:add  authgates,iden,name,rules,type',
      'user:name  iden,valu',
      'user:info email iden,name,valu',
      'user:info admin iden,name,valu',
      'user:info admin iden,name,valu gates',
      'user:info rules iden,name,valu',
      'user:info rules iden,name,valu gates',
      'user:info passwd iden,name',
      'user:info onepass iden,name',
      'user:info role:set iden,name,roles',
      'user:info archived iden,name,valu',
      'user:info locked iden,name,valu',
      'role:name  iden,valu',
      'role:info rules iden,name,valu',
      'role:info rules iden,name,valu gates',
      'role:del  iden',
      'user:del  iden',
    ])
    const text = JSON.stringify(events)
    expect(text).not.toContain('Planted')
    expect(text).not.toContain('hashed')
    expect(events[7]?.gates).toMatchObject([{iden: 'g1', type: 'pool'}])
  })
})
