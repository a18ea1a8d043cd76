/** The methods of AHA that let services and users in: they make one-time URLs, and take them back. */
import type {Need} from '../auth/need.ts'
import {ahaOf} from './aha-parts.ts'
import {done} from './cell-api-users.ts'
import {type CellMethod, method, optional, required} from './cell-method.ts'

const ADMIN: Need = {kind: 'admin'}
const LOGGED = {isLogged: true} as const

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
    LOGGED,
  ),
  delAhaSvcProv: method(
    ADMIN,
    [IDEN],
    (call) => done(ahaOf(call.parts).provisioning.remove('service', call.text('iden'), call.actor)),
    LOGGED,
  ),
  clearAhaSvcProvs: method(
    ADMIN,
    [],
    (call) => done(ahaOf(call.parts).provisioning.clear('service', call.actor)),
    LOGGED,
  ),
  // As at the peer, what is said of the user is not regarded.
  addAhaUserEnroll: method(
    ADMIN,
    [NAME, {name: 'userinfo', byDefault: null, isSecret: true}, optional('again', false)],
    (call) =>
      ahaOf(call.parts).provisioning.addUser(call.optionalText('name') ?? '', call.boolean('again'), call.actor),
    LOGGED,
  ),
  delAhaUserEnroll: method(
    ADMIN,
    [IDEN],
    (call) => done(ahaOf(call.parts).provisioning.remove('user', call.text('iden'), call.actor)),
    LOGGED,
  ),
  clearAhaUserEnrolls: method(
    ADMIN,
    [],
    (call) => done(ahaOf(call.parts).provisioning.clear('user', call.actor)),
    LOGGED,
  ),
} as const satisfies Record<string, CellMethod>
