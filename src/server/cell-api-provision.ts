/** The methods of AHA that let services, users and other members of this cell in: they make one-time URLs, and take them back. */
import type {Need} from '../auth/need.ts'
import type {Value} from '../wire/msgpack/value.ts'
import {DEFAULT_PORT} from '../wire/telepath/url.ts'
import {ahaOf} from './aha-parts.ts'
import {done} from './cell-api-users.ts'
import type {CellCall} from './cell-call.ts'
import {type CellMethod, generator, method, optional, required} from './cell-method.ts'
import type {TicketView} from './ticket-desk.ts'

const ADMIN: Need = {kind: 'admin'}
const WRITE = {isLogged: true, isWrite: true} as const

const MAX_PORT = 65_535

const NAME = required('name')
/** The credential of a URL, so it is in no log. */
const IDEN = {name: 'iden', isSecret: true} as const

/** Rows of the table of methods: provisioning of services and users. */
export const PROVISION_METHODS = {
  addAhaSvcProv: method(
    ADMIN,
    // The values for the service may hold passwords.
    [NAME, {name: 'provinfo', byDefault: null, isSecret: true}],
    (call) =>
      ahaOf(call.parts).provisioning.addService(call.optionalText('name') ?? '', call.value('provinfo'), call.actor),
    WRITE,
  ),
  delAhaSvcProv: method(
    ADMIN,
    [IDEN],
    (call) => done(ahaOf(call.parts).provisioning.remove('service', call.text('iden'), call.actor)),
    WRITE,
  ),
  clearAhaSvcProvs: method(
    ADMIN,
    [],
    (call) => done(ahaOf(call.parts).provisioning.clear('service', call.actor)),
    WRITE,
  ),
  // As at the peer, what is said of the user is not regarded, but for `expires`, which is ours.
  addAhaUserEnroll: method(
    ADMIN,
    [NAME, {name: 'userinfo', byDefault: null, isSecret: true}, optional('again', false)],
    (call) =>
      ahaOf(call.parts).provisioning.addUser(
        call.optionalText('name') ?? '',
        call.value('userinfo'),
        call.boolean('again'),
        call.actor,
      ),
    WRITE,
  ),
  delAhaUserEnroll: method(
    ADMIN,
    [IDEN],
    (call) => done(ahaOf(call.parts).provisioning.remove('user', call.text('iden'), call.actor)),
    WRITE,
  ),
  clearAhaUserEnrolls: method(
    ADMIN,
    [],
    (call) => done(ahaOf(call.parts).provisioning.clear('user', call.actor)),
    WRITE,
  ),
  addAhaClone: method(
    ADMIN,
    // `expires` is ours. The values may hold passwords.
    [
      required('host'),
      optional('port', DEFAULT_PORT),
      {name: 'conf', byDefault: null, isSecret: true},
      optional('expires'),
    ],
    addClone,
    WRITE,
  ),
  clearAhaClones: method(ADMIN, [], (call) => done(ahaOf(call.parts).provisioning.clear('clone', call.actor)), WRITE),
  // Ours: the peer can neither list nor name what it has made.
  getProvisions: generator(
    ADMIN,
    [{name: 'id', byDefault: null, isSecret: true}],
    (call) => each(ahaOf(call.parts).tickets.list(call.optionalText('id'))),
    {isBrief: true},
  ),
  delProvision: method(
    ADMIN,
    [{name: 'id', isSecret: true}],
    async (call) => packTicket(await ahaOf(call.parts).tickets.revoke(call.text('id'), call.actor)),
    WRITE,
  ),
} as const satisfies Record<string, CellMethod>

/** From the first one on, the log says who leads: a copy of it is to know that. */
async function addClone(call: CellCall): Promise<Value> {
  const {provisioning} = ahaOf(call.parts)
  const {ledger, self} = call.parts.mirroring
  const wish = {
    host: call.text('host'),
    port: call.integer('port', 0, MAX_PORT),
    conf: call.value('conf'),
    expires: call.value('expires'),
    leader: self.urls,
  }
  const url = await provisioning.addClone(wish, call.actor)
  await ledger.found(self, call.actor)
  return url
}

async function* each(views: readonly TicketView[]): AsyncGenerator<Value, void> {
  for (const view of views) yield packTicket(view)
}

/** Gives what can be told of a ticket: not its whole iden, which is as good as its URL. Times are in milliseconds. */
function packTicket({ticket, state, claim}: TicketView): Value {
  const {short, kind, name, wants, createdMs, createdBy, expiresMs, certificates, used} = ticket
  return {
    id: short,
    kind,
    name,
    state,
    user: wants.find(({purpose}) => purpose === 'user')?.name ?? null,
    created: createdMs,
    creator: createdBy,
    expires: expiresMs,
    claimed: claim === undefined ? null : {at: claim.sinceMs, from: claim.from},
    used: used === null ? null : {at: used.atMs, from: used.from},
    certs: certificates.map((one) => ({
      purpose: one.purpose,
      name: one.name,
      serial: one.serial,
      issued: one.issuedMs,
      from: one.from,
    })),
  }
}
