// Calls of every method of the table that would do something if they were allowed.
import {makeCsr} from '../../src/pki/csr.ts'
import {newPrivateKey} from '../../src/pki/keys.ts'
import {TELEPATH_METHODS} from '../../src/server/methods.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import type {CallOptions} from '../../src/wire/telepath/caller.ts'

export interface Victims {
  /** Iden of a user who is an admin. */
  readonly user: string
  /** Iden of a role. */
  readonly role: string
  readonly network: string
  /** Id of a service of the registry. */
  readonly service: string
}

export interface HarmfulCall {
  readonly method: string
  readonly isGenerator: boolean
  readonly options: Required<Pick<CallOptions, 'args' | 'kwargs'>>
}

/** What anybody may call who has logged in, with any arguments: an AHA tells a service that is not there, and where AHA servers are. */
const FOR_ALL: ReadonlySet<string> = new Set([
  ...['getCellInfo', 'getCellIden', 'getCellType', 'getCellRunId', 'isCellActive', 'getCellUser', 'getRegistryInfo'],
  ...['allowed', 'getPermDef', 'getPermDefs', 'ps', 'kill'],
  ...[
    'getAhaSvc',
    'getAhaSvcMirrors',
    'getAhaSvcsByIden',
    'modAhaSvcInfo',
    'getAhaUrls',
    'getAhaServers',
    'getAhaServer',
  ],
  ...['getAhaPool', 'getAhaPools'],
])
/** What the rule of an enrolled user allows besides: to look up the services of his network. */
const FOR_ENROLLED: ReadonlySet<string> = new Set(['getAhaSvcs'])

/** Tells whether a user who was enrolled, and was given no rights, may call a method. */
export function isForEnrolled(method: string): boolean {
  return FOR_ALL.has(method) || FOR_ENROLLED.has(method)
}

/** Makes the calls, each method in several forms. */
export async function harmfulCalls({user, role, network, service}: Victims): Promise<readonly HarmfulCall[]> {
  const csr = await makeCsr(`root@${network}`, await newPrivateKey('p256'), {isCa: false, alternativeNames: []})
  const values: Readonly<Record<string, Value>> = {
    ...{iden: user, useriden: user, roleiden: role, roleidens: [role], roles: [role], name: 'root', network},
    ...{passwd: 'stolen', email: `stolen@${network}`, admin: true, isadmin: true, locked: true, archived: true},
    ...{rule: [true, ['health']], rules: [[true, ['health']]], perm: ['health'], on: true, reason: 'stolen'},
    ...{service, id: service, info: {urlinfo: {host: '10.6.6.6', port: 1}}, svcinfo: {ready: true}},
    ...{host: '10.6.6.6', port: 27_492, server: {host: '10.6.6.6', port: 27_492}, poolname: 'root', svcname: 'root'},
    ...{provinfo: {}, userinfo: {}, again: true, csrtext: csr, signas: network, todo: ['getCellIden', [], {}]},
  }
  return [...TELEPATH_METHODS].flatMap(([method, {params, isGenerator = false}]) => {
    const needed = params.filter((param) => !('byDefault' in param)).map(({name}) => values[name] ?? 'root')
    const all = params.map(({name}) => values[name] ?? null)
    const forms = [
      // Where nobody is named, it is about himself.
      ...(/ApiKeys?$/.test(method) ? [] : [{args: needed, kwargs: {}}]),
      {args: all, kwargs: {}},
      {args: [], kwargs: Object.fromEntries(params.map(({name}, index) => [name, all[index]]))},
    ]
    return forms.map((options) => ({method, isGenerator, options}))
  })
}
