import type {Users} from './users.ts'

/** Who acts in the change log. */
const ACTOR = 'cell'

/** Makes the owner of a certificate of that name an administrator here. A name that is one already, as root is, stays as it is. */
export async function ensureAdmin(
  users: Pick<Users, 'userByName' | 'addUser' | 'setUserAdmin'>,
  name: string,
  network: string | null,
): Promise<void> {
  const at = name.indexOf('@')
  const local = at !== -1 && name.slice(at + 1) === network ? users.userByName(name.slice(0, at)) : undefined
  const user = local ?? users.userByName(name) ?? (await users.addUser({name}, ACTOR))
  if (!user.isAdmin) await users.setUserAdmin(user.iden, true, undefined, ACTOR)
}
