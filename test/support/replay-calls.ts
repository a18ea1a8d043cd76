/** Whatever can be asked of a leader, as a generator: for tests that replay what it leaves in the log. */
import fc from 'fast-check'
import type {Rule} from '../../src/auth/model.ts'
import {RegistryError} from '../../src/base/errors.ts'
import {encodeCertChange} from '../../src/registry/cert-change.ts'
import {AHA_NETWORK} from './aha.ts'
import {settle, TestPeer} from './api.ts'
import {idenIn} from './provision.ts'
import type {ReplayMember} from './replay-member.ts'

/** Something that is asked of a leader; what is refused is as good. `n` chooses among what there is. */
type Call = (member: ReplayMember, n: number) => unknown

const ACTOR = 'telepath/visi/10.0.0.7'
const AUTHOR = {creator: '0f'.repeat(16), actor: ACTOR}
const IDENS = ['0a'.repeat(16), '0b'.repeat(16)]
const NAMES = ['visi', 'fred', 'é "\\', '00.axon', '01.axon', 'axon', 'pool00.axon']

const pick = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(1, list.length)]
const name = fc.constantFrom(...NAMES)
const json = fc.jsonValue({maxDepth: 3})
const rules = fc.array(
  fc.tuple(fc.boolean(), fc.array(fc.constantFrom('aha', 'service', 'x'), {minLength: 1, maxLength: 3})),
  {maxLength: 3},
) as fc.Arbitrary<readonly Rule[]>

const iden = (member: ReplayMember, n: number): string => pick(member.users.users(), n)?.iden ?? IDENS[0] ?? ''
const role = (member: ReplayMember, n: number): string => pick(member.users.roles(), n)?.iden ?? IDENS[0] ?? ''
const key = (member: ReplayMember, n: number): string =>
  pick(
    member.users.users().flatMap((user) => member.users.apiKeysOf(user.iden)),
    n,
  )?.iden ?? ''
const gate = (member: ReplayMember, n: number): string | undefined =>
  pick([undefined, ...member.users.gates()], n)?.iden
const ticket = (member: ReplayMember, n: number): string =>
  pick([...member.aha.ticketLedger.pending.keys()], n) ?? 'none'

function ask(member: ReplayMember, request: object, n: number): void {
  const frames = ['REQ', JSON.stringify(request)].map((frame) => Buffer.from(frame))
  member.api.api.onRequest(new TestPeer(`peer-${n % 3}`), frames, 'envelope')
}

const SERVICE_IDS = ['a', 'b', '7', 'é "\\', ''] as const
const serviceId = fc.constantFrom(...SERVICE_IDS)
const info = fc.record(
  {
    id: fc.oneof(serviceId, fc.constantFrom(7, 0, false, null)),
    name,
    host: fc.constantFrom('h', 'é'),
    port: fc.constantFrom(1, '80', 65_535),
    type: fc.constantFrom('cam', 'mic', ''),
    tags: fc.array(fc.constantFrom('cam', 'dock'), {maxLength: 2}),
    metadata: fc.dictionary(fc.string(), json, {maxKeys: 3}),
    more: json,
    last_heartbeat: fc.constant(7),
    maintenance: json,
    singleton: fc.boolean(),
    allow_duplicate_service_type: fc.boolean(),
  },
  {requiredKeys: ['name', 'host', 'port']},
)

const ofServices: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(info, fc.constantFrom(1, 30, 0.5, '60', undefined)).map(
      ([service_info, ttl]): Call =>
        (member, n) =>
          ask(member, {action: 'register', service_info, ttl}, n),
    ),
  },
  serviceId.map(
    (service_id): Call =>
      (member, n) =>
        ask(member, {action: 'deregister', service_id}, n),
  ),
  serviceId.map(
    (id): Call =>
      (member) =>
        member.api.registrar.renew(id),
  ),
  fc.tuple(serviceId, fc.option(fc.constantFrom('new lens', 'a "b"'))).map(([id, reason]): Call => {
    const wish = reason === null ? undefined : {reason, by: 'unix/root'}
    return (member) => member.api.registrar.setMaintenance(id, wish, ACTOR, () => {})
  }),
  serviceId.map(
    (id): Call =>
      ({api}) => {
        const instance = api.catalog.get(id)
        if (instance === undefined) return
        api.catalog.setHealth(instance, 'critical')
        api.registrar.expire(instance, 'registry:sweeper', () => {})
      },
  ),
)

const ofUsers: fc.Arbitrary<Call> = fc.oneof(
  fc
    .record(
      {
        name,
        passwd: fc.constantFrom('one', 'two'),
        email: fc.constantFrom('a@b', 'C@d'),
        iden: fc.constantFrom(...IDENS),
      },
      {requiredKeys: ['name']},
    )
    .map(
      (user): Call =>
        ({users}) =>
          users.addUser(user, ACTOR),
    ),
  fc.constant<Call>((member, n) => member.users.delUser(iden(member, n), ACTOR)),
  name.map(
    (to): Call =>
      (member, n) =>
        member.users.setUserName(iden(member, n), to, ACTOR),
  ),
  fc.constantFrom('a@b', 'E@f', null).map(
    (email): Call =>
      (member, n) =>
        member.users.setUserEmail(iden(member, n), email, ACTOR),
  ),
  fc.boolean().map(
    (is): Call =>
      (member, n) =>
        member.users.setUserAdmin(iden(member, n), is, gate(member, n >> 4), ACTOR),
  ),
  fc.boolean().map(
    (is): Call =>
      (member, n) =>
        member.users.setUserLocked(iden(member, n), is, ACTOR),
  ),
  fc.boolean().map(
    (is): Call =>
      (member, n) =>
        member.users.setUserArchived(iden(member, n), is, ACTOR),
  ),
  rules.map(
    (list): Call =>
      (member, n) =>
        member.users.setUserRules(iden(member, n), list, gate(member, n >> 4), ACTOR),
  ),
  fc.constant<Call>((member, n) => member.users.addUserRole(iden(member, n), role(member, n >> 4), n % 3, ACTOR)),
  fc.constant<Call>((member, n) => member.users.delUserRole(iden(member, n), role(member, n >> 4), ACTOR)),
  fc.constantFrom('one', 'two', 'three', null).map(
    (passwd): Call =>
      (member, n) =>
        member.users.setUserPasswd(iden(member, n), passwd, ACTOR),
  ),
  name.map(
    (user): Call =>
      async ({users}) => {
        const found = users.userByName(user)
        if (found === undefined) return
        const passwd = await users.genUserOnepass(found.iden, 1000, ACTOR)
        await users.login(user, passwd, ACTOR)
      },
  ),
  name.map(
    (one): Call =>
      ({users}) =>
        users.addRole(one, undefined, ACTOR),
  ),
  fc.constant<Call>((member, n) => member.users.delRole(role(member, n), ACTOR)),
  name.map(
    (to): Call =>
      (member, n) =>
        member.users.setRoleName(role(member, n), to, ACTOR),
  ),
  rules.map(
    (list): Call =>
      (member, n) =>
        member.users.setRoleRules(role(member, n), list, gate(member, n >> 4), ACTOR),
  ),
  fc.constantFrom(...IDENS).map(
    (one): Call =>
      ({users}) =>
        users.addGate(one, 'view', ACTOR),
  ),
  fc.constantFrom(1000, undefined).map(
    (ms): Call =>
      (member, n) =>
        member.users.addApiKey(iden(member, n), 'key', ms, ACTOR),
  ),
  name.map(
    (to): Call =>
      (member, n) =>
        member.users.setApiKeyName(key(member, n), to, ACTOR),
  ),
  fc.constant<Call>((member, n) => member.users.delApiKey(key(member, n), ACTOR)),
)

const ahaInfo = fc
  .record(
    {
      urlinfo: fc.dictionary(fc.constantFrom('host', 'port', 'scheme', '1', '__proto__'), json, {maxKeys: 3}),
      iden: fc.constantFrom(...IDENS),
      run: fc.constantFrom('r1', 'r2'),
      leader: fc.constant('axon'),
      ready: fc.boolean(),
    },
    {requiredKeys: ['urlinfo', 'iden', 'leader']},
  )
  .chain((known) => fc.dictionary(fc.string(), json, {maxKeys: 3}).map((more) => ({...more, ...known})))

const session = (n: number) => ({id: `session-${n % 3}`, peer: {family: 'tls', address: '10.0.0.7', port: 1}}) as const

const serviceName = fc.constantFrom('00.axon', '01.axon', 'axon')
const poolName = fc.constantFrom('pool00.axon', 'pool01.axon', 'axon')

const ofAha: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(serviceName, ahaInfo).map(
      ([one, said]): Call =>
        ({aha}, n) => {
          return aha.services.add(aha.services.place(one, AHA_NETWORK), said, session(n), ACTOR)
        },
    ),
  },
  fc.tuple(serviceName, fc.boolean()).map(
    ([one, isReady]): Call =>
      ({aha}) =>
        aha.services.setReady(`${one}...`, isReady, ACTOR),
  ),
  serviceName.map(
    (one): Call =>
      ({aha}) =>
        aha.services.remove(`${one}.${AHA_NETWORK}`, ACTOR),
  ),
  fc.constant<Call>(({aha}, n) => aha.services.sessionClosed(session(n).id)),
  poolName.map(
    (one): Call =>
      ({aha}) =>
        aha.pools.add(`${one}...`, AUTHOR),
  ),
  poolName.map(
    (one): Call =>
      ({aha}) =>
        aha.pools.remove(`${one}...`, ACTOR),
  ),
  fc.tuple(poolName, serviceName).map(
    ([one, service]): Call =>
      ({aha}) =>
        aha.pools.addMember(`${one}...`, `${service}...`, AUTHOR),
  ),
  fc.tuple(poolName, serviceName).map(
    ([one, service]): Call =>
      ({aha}) =>
        aha.pools.removeMember(`${one}...`, `${service}...`, ACTOR),
  ),
  fc.nat(2).map(
    (port): Call =>
      ({aha}) =>
        aha.servers.add({host: 'other', port, isOwn: port > 1}, ACTOR),
  ),
  fc.nat(2).map(
    (port): Call =>
      ({aha}) =>
        aha.servers.remove({host: 'other', port}, ACTOR),
  ),
  fc.tuple(serviceName, serviceName).map(
    ([one, leader]): Call =>
      ({aha}) => {
        const [entry, other] = [aha.services.standing(`${one}...`), aha.services.standing(`${leader}...`)]
        return entry && other && aha.fences.set(entry, other, ACTOR)
      },
  ),
  serviceName.map(
    (one): Call =>
      ({aha}) =>
        aha.fences.lift(`${one}.${AHA_NETWORK}`, 'asked', ACTOR),
  ),
)

const issued = (name: string, serial: string) =>
  ({purpose: 'host', name, keySha256: 'ab', serial, issuedMs: 7.5, from: '10.0.0.7', pem: `-----${serial}\n`}) as const

const ofTickets: fc.Arbitrary<Call> = fc.oneof(
  fc
    .tuple(fc.constantFrom('00.axon', '01.axon'), fc.constantFrom(null, {conf: {'aha:leader': 'axon'}, mirror: 'axon'}))
    .map(
      ([one, provinfo]): Call =>
        ({aha}) =>
          aha.provisioning.addService(one, provinfo, ACTOR),
    ),
  fc.tuple(fc.constantFrom('visi', 'fred'), fc.boolean()).map(
    ([one, again]): Call =>
      async ({aha}) => {
        const made = idenIn(await aha.provisioning.addUser(one, null, again, ACTOR))
        await aha.provisioning.remove('user', made.slice(again ? 0 : 1), ACTOR)
      },
  ),
  fc.constantFrom('service', 'user').map(
    (kind): Call =>
      ({aha}) =>
        aha.provisioning.clear(kind, ACTOR),
  ),
  fc.constant<Call>((member, n) => {
    const change = {
      kind: 'ticket:issue',
      idenSha256: ticket(member, n),
      certificate: issued('00.axon', `${n}`),
    } as const
    return member.aha.ticketLedger.change(change, 'provision/00.axon')
  }),
  fc.option(fc.constantFrom('7f', '8f')).map(
    (serial): Call =>
      (member, n) => {
        const certificate = serial === null ? null : issued('00.axon', serial)
        const use = {atMs: member.clock.wallMs(), from: '10.0.0.7'}
        return member.aha.ticketLedger.change(
          {kind: 'ticket:use', idenSha256: ticket(member, n), certificate, use},
          'provision/x',
        )
      },
  ),
  fc.constant<Call>(({changes, clock}) => {
    const facts = {purpose: 'host', name: 'h.demo.net', authority: 'demo.net', serial: '3f', keySha256: '9c'} as const
    const change = encodeCertChange({kind: 'cert:issue', ...facts, from: '10.0.0.7'})
    return new Promise((committed, failed) => {
      changes.propose({
        entry: {timeMs: clock.wallMs(), actor: ACTOR, change, effect: {kind: 'none'}},
        committed,
        failed,
      })
    })
  }),
)

/** Calls that come at the same time, and how long after those before. */
export const turn = fc.record({
  calls: fc.array(fc.tuple(fc.oneof(ofServices, ofUsers, ofAha, ofTickets), fc.nat(255)), {
    minLength: 1,
    maxLength: 8,
    size: 'max',
  }),
  afterMs: fc.nat(100_000),
})
type Turn = typeof turn extends fc.Arbitrary<infer T> ? T : never

/** Asks a leader, turn by turn; what it refuses is as good. */
export async function run(member: ReplayMember, turns: readonly Turn[]): Promise<void> {
  for (const {calls, afterMs} of turns) {
    member.clock.nowMs += afterMs
    const results = await Promise.allSettled(calls.map(async ([call, n]) => call(member, n)))
    for (const result of results) {
      if (result.status === 'rejected' && !(result.reason instanceof RegistryError)) throw result.reason
    }
    await settle()
    await member.changes.settled()
  }
}
