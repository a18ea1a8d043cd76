/** Options whose value is an object: what may stand in them, said of the first thing that is wrong. */

/** The options of type object, by what they hold. */
export type ObjectShape = 'headers' | 'passwd policy' | 'inaugural' | 'svcinfo'

/** Gives what is expected where the value is wrong; undefined when it is right. */
export function objectProblem(shape: ObjectShape, value: unknown): string | undefined {
  if (!isObject(value)) return EXPECTED[shape]
  switch (shape) {
    case 'headers':
      return headersProblem(value)
    case 'passwd policy':
      return policyProblem(value)
    case 'inaugural':
      return inauguralProblem(value)
    case 'svcinfo':
      return svcinfoProblem(value)
  }
}

const EXPECTED = {
  headers: 'an object of header names and texts',
  'passwd policy': 'an object with complexity, attempts and previous',
  inaugural: 'an object with users and roles',
  svcinfo: 'an object with urlinfo',
} as const satisfies Record<ObjectShape, string>

/** Says what an object option takes, to be read after "must be". */
export function describeObject(shape: ObjectShape): string {
  return EXPECTED[shape]
}

type Plain = Readonly<Record<string, unknown>>

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/ // RFC 9110, with a bound
const FIELD_VALUE = /^[\t\x20-\x7e]{0,1024}$/
/** What the listener itself decides; a second value would make the answer unreadable. */
const FRAMING_HEADERS = new Set(['content-length', 'transfer-encoding', 'connection', 'content-type', 'set-cookie'])

function headersProblem(headers: Plain): string | undefined {
  for (const [name, value] of Object.entries(headers)) {
    if (!TOKEN.test(name)) return `${EXPECTED.headers}; ${JSON.stringify(name)} is no header name`
    if (FRAMING_HEADERS.has(name.toLowerCase())) return `${EXPECTED.headers}; ${name} cannot be set`
    if (typeof value !== 'string' || !FIELD_VALUE.test(value)) {
      return `${EXPECTED.headers}; the value of ${name} must be a text of printable ASCII`
    }
  }
  return undefined
}

const MAX_SVCINFO = 16 * 1024 // what an AHA of ours takes

/** The rest is kept as it is: the AHA and its clients know what it means. */
function svcinfoProblem(svcinfo: Plain): string | undefined {
  const {urlinfo} = svcinfo
  if (!isObject(urlinfo)) return EXPECTED.svcinfo
  const {scheme, host, port} = urlinfo
  if (filledText(scheme) !== undefined || filledText(host) !== undefined)
    return `${EXPECTED.svcinfo} that has scheme and host`
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    return `${EXPECTED.svcinfo} whose port is from 1 to 65535`
  }
  if (isJson(svcinfo)) return undefined
  return `${EXPECTED.svcinfo} of at most ${MAX_SVCINFO} characters, without infinities and the like`
}

function isJson(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value === 'bigint') return false
  if (typeof value !== 'object' || value === null) return true
  return Object.values(value).every(isJson) && JSON.stringify(value).length <= MAX_SVCINFO
}

type Check = (value: unknown) => string | undefined

const CLASSES = ['upper', 'lower', 'special', 'number'] as const

const COMPLEXITY: Readonly<Record<string, Check>> = {
  length: wholeFrom(1),
  sequences: wholeFrom(2),
  ...Object.fromEntries(
    CLASSES.flatMap((name) => [
      [`${name}:count`, wholeFrom(0)],
      [`${name}:valid`, filledText],
    ]),
  ),
}

const POLICY: Readonly<Record<string, Check>> = {
  attempts: wholeFrom(1),
  previous: wholeFrom(1),
  complexity: (value) => (isObject(value) ? membersProblem(value, COMPLEXITY, 'complexity') : 'an object'),
}

function policyProblem(policy: Plain): string | undefined {
  return membersProblem(policy, POLICY, 'the policy')
}

/** Null stands for absent, as at the peer. */
function membersProblem(value: Plain, checks: Readonly<Record<string, Check>>, where: string): string | undefined {
  for (const [key, member] of Object.entries(value)) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined
    if (check === undefined)
      return `without ${JSON.stringify(key)} in ${where}: known are ${Object.keys(checks).join(', ')}`
    const expected = member === null ? undefined : check(member)
    if (expected !== undefined) return expected.includes(' in ') ? expected : `${expected} in ${key}`
  }
  return undefined
}

function wholeFrom(min: number): Check {
  return (value) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= min ? undefined : `a whole number from ${min}`
}

function filledText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? undefined : 'a text that is not empty'
}

const ROLE: Readonly<Record<string, Check>> = {name: nameOtherThan('all'), rules: rulesProblem}
const USER: Readonly<Record<string, Check>> = {
  name: nameOtherThan('root'),
  admin: (value) => (typeof value === 'boolean' ? undefined : 'true or false'),
  email: filledText,
  roles: (value) => (isListOf(value, (role) => filledText(role) === undefined) ? undefined : 'a list of role names'),
  rules: rulesProblem,
}

function inauguralProblem(inaugural: Plain): string | undefined {
  return membersProblem(inaugural, {roles: listProblem('roles', ROLE), users: listProblem('users', USER)}, 'inaugural')
}

function listProblem(what: string, checks: Readonly<Record<string, Check>>): Check {
  return (value) => {
    if (!Array.isArray(value)) return `a list of ${what}`
    for (const item of value) {
      if (!isObject(item) || !Object.hasOwn(item, 'name')) return `a name for each in ${what}`
      const problem = membersProblem(item, checks, what)
      if (problem !== undefined) return problem
    }
    return undefined
  }
}

function nameOtherThan(taken: string): Check {
  return (value) =>
    typeof value === 'string' && value !== '' && value !== taken ? undefined : `a text other than ${taken}`
}

/** `[[true, [axon, upload]], …]`, as the peer writes rules. */
function rulesProblem(value: unknown): string | undefined {
  return isListOf(value, isRule) ? undefined : 'a list of rules such as [true, [axon, upload]]'
}

function isRule(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2 || typeof value[0] !== 'boolean') return false
  return isListOf(value[1], (part) => filledText(part) === undefined) && value[1].length > 0
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && value.every(isItem)
}

function isObject(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
