import type {LeadMember} from '../../registry/lead.ts'
import {parseUrl} from '../../wire/telepath/url.ts'
import type {AhaServerList} from '../aha-server-list.ts'
import type {AhaServices} from '../aha-services.ts'
import type {Mirroring} from './mirroring.ts'
import type {Role} from './role.ts'

/** The parts of AHA that have to know who leads and who follows. */
export interface AhaRoleParts {
  readonly services: AhaServices
  readonly servers: Pick<AhaServerList, 'note' | 'remove'>
}

/**
 * Has the services of AHA count sessions at all members of the cell, and the list of AHA servers name them, from now on. To be called before a session
 * can be opened.
 */
export function shareAmongMembers(
  {services, servers}: AhaRoleParts,
  {roles, ledger, mirrors, on}: Pick<Mirroring, 'roles' | 'ledger' | 'mirrors' | 'on'>,
): void {
  const follow = ({kind}: Role): void => {
    if (kind === 'follows') services.follow()
    else if (ledger.others.length > 0) services.lead()
  }
  follow(roles.role)
  roles.onChange(follow)
  on({
    onTold: ({member, opened, closed, isWhole}) => services.told(member, {opened, closed, isWhole}),
    reportSessions: () => services.reportSessions(),
    onComing: async (mirror) => {
      const place = placeOf(mirror)
      if (place !== undefined) await servers.note(place)
    },
    onForgotten: async (mirror, actor) => {
      const place = placeOf(mirror)
      if (place !== undefined) await servers.remove(place, actor)
    },
  })
  mirrors.onChange((event, mirror) => {
    if (event === 'lost') services.lost(mirror.member)
  })
}

/** Services know an AHA by the name of its certificate. */
function placeOf({name, urls}: LeadMember): {readonly host: string; readonly port: number} | undefined {
  const port = urls[0] === undefined ? undefined : parseUrl(urls[0]).port
  return port === undefined ? undefined : {host: name, port}
}
