/** Where our answer is not the recorded one, why, and what it is instead. */
export interface Deviation {
  readonly why: string
  readonly ours: {readonly status: number; readonly answer: unknown}
}

const refused = (status: number, code: string, mesg: string) => ({status, answer: {status: 'err', code, mesg}})

const SECRET_USERS = 'a login does not tell which users exist, nor what is the matter with them'
const JSON_ONLY = 'errors are JSON, never a page'
const FORESEEN = 'what a request can get wrong is no failure of the server'
const CLEARER = 'refused by both; ours names the member in words'

const badLogin: Deviation = {
  why: SECRET_USERS,
  ours: refused(403, 'AuthDeny', 'Incorrect user name or password.'),
}
const foreseen = (status: number, code: string, mesg: string): Deviation => ({
  why: FORESEEN,
  ours: refused(status, code, mesg),
})
const violation = (why: string, mesg: string): Deviation => ({why, ours: refused(400, 'SchemaViolation', mesg)})

export const DEVIATIONS: Readonly<Record<string, Deviation>> = {
  'unknown path': {why: JSON_ONLY, ours: refused(404, 'NoSuchPath', 'There is nothing at /nothing.')},
  'unknown path below api': {why: JSON_ONLY, ours: refused(404, 'NoSuchPath', 'There is nothing at /api/v1/nothing.')},
  'method that a path does not have': {
    why: JSON_ONLY,
    ours: refused(405, 'NoSuchMeth', '/api/v1/active cannot be asked by POST.'),
  },
  put: {why: JSON_ONLY, ours: refused(405, 'NoSuchMeth', '/api/v1/auth/users cannot be asked by PUT.')},
  'adduser: a list': violation(FORESEEN, 'body must be object'),
  'adduser: name is a number': violation(FORESEEN, 'body/name must be string'),
  'adduser: bad rules': violation(FORESEEN, 'rule 0 must begin with true or false'),
  'adduser: empty password': foreseen(400, 'BadArg', 'Password must be a string'),
  'adduser: email of another': foreseen(400, 'DupUserEmail', "Duplicate email, email='v@b.c' already exists."),
  'user: name of another': foreseen(400, 'DupUserName', "Duplicate username, name='visi' already exists."),
  'user: gate that does not exist': foreseen(404, 'NoSuchAuthGate', 'No auth gate found with iden: (nogate).'),
  'user: bad rules': violation(FORESEEN, 'body/rules must be array or null'),
  'user: lock root': foreseen(400, 'BadArg', 'Cannot lock admin root user.'),
  'user: rename root': foreseen(400, 'BadArg', 'Cannot change the name of the root user.'),
  'user: root without admin': foreseen(400, 'BadArg', 'Cannot remove admin from root user.'),
  'user: unlock an archived one': foreseen(400, 'BadArg', 'Cannot unlock archived user.'),
  'role: bad rules': violation(FORESEEN, 'body/rules must be array or null'),
  'grant: no user': violation(FORESEEN, 'body must have user'),
  'revoke: role of all': foreseen(400, 'BadArg', 'Role "all" may not be revoked.'),
  'delrole: role of all': foreseen(400, 'BadArg', 'Role "all" may not be deleted.'),
  'onepass: no user': violation(FORESEEN, 'body must have user'),
  'onepass: duration is a text': violation(FORESEEN, 'body/duration must be integer or null'),
  'login: no password': violation(CLEARER, 'body must have passwd'),
  'login: user is a number': violation(CLEARER, 'body/user must be string'),
  'login: something else too': violation(CLEARER, 'body must have nothing else'),
  'password: a number': violation(CLEARER, 'body/passwd must be string'),
  'login: unknown user': badLogin,
  'login: wrong password': badLogin,
  'login: user without password': badLogin,
  'login: locked user': badLogin,
  "password: another's": {
    why: 'who may not is told so; the peer answers as if it had been done',
    ours: refused(403, 'AuthDeny', 'User {{visi}} (visi) is not an admin.'),
  },
}
