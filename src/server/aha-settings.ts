import type {Conf} from '../config/options.ts'
import {ahaNames, memberNames} from '../config/relations.ts'

import type {AhaMemberSettings} from './aha-member.ts'

export interface AhaSettings {
  /** `aha:network` */
  readonly network: string
  /** `dns:name` */
  readonly dnsName: string
  /** `aha:admin` */
  readonly admin: string | undefined
  /** `aha:urls`: told instead of those of this server. */
  readonly urls: readonly string[] | undefined
  readonly provision: {
    /** `provision:listen`; null for none. */
    readonly listen: string | null
    /** `provision:expires`; undefined for never. */
    readonly expiresMs: number | undefined
    /** `provision:service:root` */
    readonly allowsRoot: boolean
  }
}

/** Gives the settings of AHA; undefined when this service is none. */
export function ahaSettings(conf: Conf): AhaSettings | undefined {
  const names = ahaNames(conf)
  if (names === undefined) return undefined
  return {
    ...names,
    admin: conf['aha:admin'] ?? undefined,
    urls: conf['aha:urls'] ?? undefined,
    provision: {
      listen: conf['provision:listen'],
      expiresMs: conf['provision:expires'] ?? undefined,
      allowsRoot: conf['provision:service:root'],
    },
  }
}

/** Gives how this service registers at an AHA; undefined when it does not. */
export function memberSettings(conf: Conf): AhaMemberSettings | undefined {
  const names = memberNames(conf)
  const urls = conf['aha:registry']
  if (names === undefined || urls === null) return undefined
  return {
    ...names,
    urls,
    leader: conf['aha:leader'] ?? undefined,
    user: conf['aha:user'] ?? 'root',
    isPromotable: conf['aha:promotable'],
    svcinfo: conf['aha:svcinfo'] ?? undefined,
  }
}
