/** JSON schemas of what goes over HTTPS: the bodies that are taken (checked by wire/https/json-schema.ts) and the shapes that answers have (for the OpenAPI document). */
import type {JsonSchema} from '../wire/https/messages.ts'

const TEXT = {type: 'string'} as const
const FLAG = {type: 'boolean'} as const
const IDEN = {type: 'string', description: '32 hex digits'} as const

const PORT = {type: 'integer', minimum: 0, maximum: 65_535} as const

/** Null is as good as absent in a body. */
const orNull = (type: string) => ({type: [type, 'null']})

const RULES = {
  type: 'array',
  description: 'Rules in their order, each `[allow, [element, …]]`.',
  items: {type: 'array', minItems: 2, maxItems: 2},
} as const

const GATES = {
  type: 'object',
  description: 'By iden of the gate: rules and admin there.',
  additionalProperties: {type: 'object', properties: {rules: RULES, admin: FLAG}},
} as const

function object(properties: Readonly<Record<string, JsonSchema>>, required = Object.keys(properties)): JsonSchema {
  return {type: 'object', properties, required}
}

function listOf(items: JsonSchema): JsonSchema {
  return {type: 'array', items}
}

const ref = (name: keyof typeof COMPONENTS): JsonSchema => ({$ref: `#/components/schemas/${name}`})

const USER_MEMBERS = {
  type: {const: 'user'},
  iden: IDEN,
  name: TEXT,
  rules: RULES,
  admin: FLAG,
  email: {type: ['string', 'null']},
  locked: FLAG,
  archived: FLAG,
  authgates: GATES,
} as const

/** Shapes that more than one answer has. */
export const COMPONENTS = {
  Role: object({type: {const: 'role'}, iden: IDEN, name: TEXT, rules: RULES, authgates: GATES}),
  User: object({...USER_MEMBERS, roles: listOf(IDEN)}),
  UserWithRoles: object({...USER_MEMBERS, roles: listOf({$ref: '#/components/schemas/Role'})}),
  Health: object({
    iden: IDEN,
    status: {enum: ['nominal', 'degraded', 'failed']},
    components: listOf(
      object({name: TEXT, status: {enum: ['nominal', 'degraded', 'failed']}, mesg: TEXT, data: {type: 'object'}}),
    ),
  }),
  AhaService: object({
    name: {...TEXT, description: 'Full name.'},
    svcname: TEXT,
    svcnetw: TEXT,
    svcinfo: {
      type: 'object',
      description: 'What the service said of itself; `online` is there while it is online.',
      properties: {online: TEXT, ready: FLAG, iden: TEXT, run: TEXT, leader: TEXT, urlinfo: {type: 'object'}},
    },
  }),
  Error: object({status: {const: 'err'}, code: TEXT, mesg: TEXT}),
} as const satisfies Record<string, JsonSchema>

/** Shapes of results. */
export const RESULTS = {
  user: ref('User'),
  userWithRoles: ref('UserWithRoles'),
  users: listOf(ref('UserWithRoles')),
  role: ref('Role'),
  roles: listOf(ref('Role')),
  health: ref('Health'),
  active: object({active: FLAG}),
  true: {const: true},
  null: {type: 'null'},
  passwd: {type: 'string', description: 'The password.'},
  ahaServices: listOf(ref('AhaService')),
  onceUrl: object({url: TEXT}),
} as const satisfies Record<string, JsonSchema>

/** Bodies. Members that are not named are ignored, as the peers do, except at the login. */
export const BODIES = {
  login: {...object({user: TEXT, passwd: TEXT}), additionalProperties: false},
  passwd: object({passwd: TEXT}),
  userEdit: object(
    {
      name: orNull('string'),
      email: orNull('string'),
      locked: orNull('boolean'),
      rules: {...RULES, type: ['array', 'null']},
      admin: orNull('boolean'),
      archived: orNull('boolean'),
      gate: {...orNull('string'), description: 'Object that `rules` and `admin` are about.'},
    },
    [],
  ),
  newUser: object(
    {
      name: TEXT,
      passwd: orNull('string'),
      admin: orNull('boolean'),
      email: orNull('string'),
      rules: {...RULES, type: ['array', 'null']},
    },
    ['name'],
  ),
  roleEdit: object({rules: {...RULES, type: ['array', 'null']}, gate: orNull('string')}, []),
  newRole: object({name: TEXT, rules: {...RULES, type: ['array', 'null']}}, ['name']),
  roleName: object({name: TEXT}),
  membership: object({user: IDEN, role: IDEN}),
  ofNetwork: {
    ...object({network: {type: 'string', minLength: 1}}, []),
    additionalProperties: false,
  },
  newService: {
    ...object(
      {
        name: {type: 'string', minLength: 1, description: 'Without the network.'},
        provinfo: object(
          {
            conf: {type: 'object', description: 'Options of the service, by name.'},
            'dmon:port': PORT,
            'https:port': PORT,
            mirror: {type: 'string', minLength: 1, description: 'Name of the leader to be a mirror of.'},
          },
          [],
        ),
      },
      ['name'],
    ),
    additionalProperties: false,
  },
  onepass: object(
    {
      user: IDEN,
      duration: {type: ['integer', 'null'], minimum: 1, description: 'Life of the password in ms; 600000 when absent.'},
    },
    ['user'],
  ),
} as const satisfies Record<string, JsonSchema>
