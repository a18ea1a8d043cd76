/**
 * THE table of what HTTPS answers. From it come the routes of the server, the rows of the table of methods (`methods.ts`) and the OpenAPI
 * document (`openapi.ts`). What a row does stands under its name in `https-handlers.ts`.
 */
import type {Need} from '../auth/need.ts'
import type {JsonSchema} from '../wire/https/messages.ts'
import {BODIES, RESULTS} from './https-schemas.ts'

export interface HttpsRow {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** What the caller must be; a function where that depends on whom the path names. */
  readonly need: Need | ((params: Readonly<Record<string, string>>, callerIden: string) => Need)
  /** One sentence for the OpenAPI document. */
  readonly summary: string
  /** It alters something: pages from elsewhere must not be able to ask for it in the name of a user. */
  readonly alters?: true
  /** It alters the state of the cell, and so is done by the leader: a mirror passes it on. */
  readonly isWrite?: true
  readonly query?: Readonly<Record<string, JsonSchema>>
  readonly body?: JsonSchema
  /** Without a body is fine too. */
  readonly isBodyOptional?: true
  /** Only an AHA has it. */
  readonly isOfAha?: true
  /** Refuses a body without one of these by the peer's words instead of those of the schema. */
  readonly called?: string
  /** Shape of `result`; a row without one answers with `media`. */
  readonly result?: JsonSchema
  readonly media?: 'text/plain' | 'application/json'
}

const ANYONE: Need = {kind: 'anyone'}
const LOGIN: Need = {kind: 'login'}
const ADMIN: Need = {kind: 'admin'}

export const HTTPS_ROUTES = {
  robots: {
    method: 'GET',
    path: '/robots.txt',
    need: ANYONE,
    summary: 'Asks search engines to stay away.',
    media: 'text/plain',
  },
  openapi: {
    method: 'GET',
    path: '/api/v1/openapi.json',
    need: ANYONE,
    summary: 'This document.',
    media: 'application/json',
  },
  active: {
    method: 'GET',
    path: '/api/v1/active',
    need: ANYONE,
    summary: 'Whether the cell takes changes as a leader.',
    result: RESULTS.active,
  },
  healthcheck: {
    method: 'GET',
    path: '/api/v1/healthcheck',
    need: {kind: 'permission', path: ['health']},
    summary: 'How well the cell and its parts do.',
    result: RESULTS.health,
  },
  login: {
    method: 'POST',
    path: '/api/v1/login',
    need: ANYONE,
    summary: 'Opens a session, kept by the cookie `sess` for 14 days.',
    alters: true,
    body: BODIES.login,
    result: RESULTS.userWithRoles,
  },
  logout: {
    method: 'GET',
    path: '/api/v1/logout',
    need: ANYONE,
    summary: 'Ends the session, if there is one.',
    alters: true,
    result: RESULTS.true,
  },
  users: {
    method: 'GET',
    path: '/api/v1/auth/users',
    need: LOGIN,
    summary: 'All users in order of name.',
    query: {archived: {enum: ['0', '1'], default: '0', description: '1: those that are archived too.'}},
    result: RESULTS.users,
  },
  roles: {
    method: 'GET',
    path: '/api/v1/auth/roles',
    need: LOGIN,
    summary: 'All roles in order of name.',
    result: RESULTS.roles,
  },
  user: {
    method: 'GET',
    path: '/api/v1/auth/user/{iden}',
    need: LOGIN,
    summary: 'One user.',
    result: RESULTS.user,
  },
  editUser: {
    method: 'POST',
    path: '/api/v1/auth/user/{iden}',
    need: ADMIN,
    summary: 'Alters the members that are given, in the order name, email, locked, rules, admin, archived.',
    alters: true,
    isWrite: true,
    body: BODIES.userEdit,
    result: RESULTS.user,
  },
  passwd: {
    method: 'POST',
    path: '/api/v1/auth/password/{iden}',
    need: ({iden}, callerIden) =>
      iden === callerIden ? {kind: 'permission', path: ['auth', 'self', 'set', 'passwd'], byDefault: true} : ADMIN,
    summary: 'Sets a password: everyone his own, an admin that of anyone.',
    alters: true,
    isWrite: true,
    body: BODIES.passwd,
    result: RESULTS.user,
  },
  role: {
    method: 'GET',
    path: '/api/v1/auth/role/{iden}',
    need: LOGIN,
    summary: 'One role.',
    result: RESULTS.role,
  },
  editRole: {
    method: 'POST',
    path: '/api/v1/auth/role/{iden}',
    need: ADMIN,
    summary: 'Replaces the rules of a role.',
    alters: true,
    isWrite: true,
    body: BODIES.roleEdit,
    result: RESULTS.role,
  },
  addUser: {
    method: 'POST',
    path: '/api/v1/auth/adduser',
    need: ADMIN,
    summary: 'Adds a user.',
    alters: true,
    isWrite: true,
    body: BODIES.newUser,
    called: 'adduser',
    result: RESULTS.user,
  },
  addRole: {
    method: 'POST',
    path: '/api/v1/auth/addrole',
    need: ADMIN,
    summary: 'Adds a role.',
    alters: true,
    isWrite: true,
    body: BODIES.newRole,
    called: 'addrole',
    result: RESULTS.role,
  },
  delRole: {
    method: 'POST',
    path: '/api/v1/auth/delrole',
    need: ADMIN,
    summary: 'Deletes a role and takes it from all users.',
    alters: true,
    isWrite: true,
    body: BODIES.roleName,
    called: 'delrole',
    result: RESULTS.null,
  },
  grant: {
    method: 'POST',
    path: '/api/v1/auth/grant',
    need: ADMIN,
    summary: 'Gives a role to a user.',
    alters: true,
    isWrite: true,
    body: BODIES.membership,
    result: RESULTS.user,
  },
  grantByGet: {
    method: 'GET',
    path: '/api/v1/auth/grant',
    need: ADMIN,
    summary: 'As POST, for clients of the peers that send a body with GET.',
    alters: true,
    isWrite: true,
    body: BODIES.membership,
    result: RESULTS.user,
  },
  revoke: {
    method: 'POST',
    path: '/api/v1/auth/revoke',
    need: ADMIN,
    summary: 'Takes a role from a user.',
    alters: true,
    isWrite: true,
    body: BODIES.membership,
    result: RESULTS.user,
  },
  revokeByGet: {
    method: 'GET',
    path: '/api/v1/auth/revoke',
    need: ADMIN,
    summary: 'As POST, for clients of the peers that send a body with GET.',
    alters: true,
    isWrite: true,
    body: BODIES.membership,
    result: RESULTS.user,
  },
  onepass: {
    method: 'POST',
    path: '/api/v1/auth/onepass/issue',
    need: ADMIN,
    summary: 'Makes a password that works once.',
    alters: true,
    isWrite: true,
    body: BODIES.onepass,
    result: RESULTS.passwd,
  },
  ahaServices: {
    method: 'GET',
    path: '/api/v1/aha/services',
    need: ADMIN,
    summary: 'The services of AHA: all, or those of a network.',
    body: BODIES.ofNetwork,
    isBodyOptional: true,
    isOfAha: true,
    result: RESULTS.ahaServices,
  },
  provisionService: {
    method: 'POST',
    path: '/api/v1/aha/provision/service',
    need: ADMIN,
    summary: 'Makes a one-time URL with which a service provisions itself.',
    alters: true,
    isWrite: true,
    body: BODIES.newService,
    isOfAha: true,
    result: RESULTS.onceUrl,
  },
} as const satisfies Record<string, HttpsRow>

export type HttpsRouteName = keyof typeof HTTPS_ROUTES

/** Those that alter the state of the cell. */
export type HttpsChangeName = {
  [Name in HttpsRouteName]: (typeof HTTPS_ROUTES)[Name] extends {readonly isWrite: true} ? Name : never
}[HttpsRouteName]

/** Rows with a websocket. What a client may see there depends on what he asks for once it is open. */
export const HTTPS_WEBSOCKETS = {
  behold: {
    path: '/api/v1/behold',
    need: ADMIN,
    summary: 'Events of users and roles, after the message {"type":"call:init"}.',
  },
} as const satisfies Record<string, {readonly path: string; readonly need: Need; readonly summary: string}>

/** A row as the table of methods shows it. */
export interface HttpsMethod {
  /** `GET /api/v1/active`, `WS /api/v1/behold`. */
  readonly name: string
  /** Undefined where it depends on what is asked. */
  readonly need: Need | undefined
  readonly isWrite: boolean
}

/** All rows, for the table of methods. */
export function httpsMethods(): readonly HttpsMethod[] {
  const rows: readonly HttpsRow[] = Object.values(HTTPS_ROUTES)
  return [
    ...rows.map(({method, path, need, isWrite = false}) => ({
      name: `${method} ${path}`,
      need: typeof need === 'function' ? undefined : need,
      isWrite,
    })),
    ...Object.values(HTTPS_WEBSOCKETS).map(({path, need}) => ({name: `WS ${path}`, need, isWrite: false})),
  ]
}
