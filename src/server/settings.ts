/** What the parts of a server take from its configuration. */
import {NO_POLICY, readPolicy} from '../auth/policy.ts'
import {Secret} from '../base/secret.ts'
import {type Inaugural, readInaugural} from '../cell/inaugural.ts'
import type {UserBookOptions} from '../cell/user-book.ts'
import type {Conf} from '../config/options.ts'
import {ahaNames, memberNames} from '../config/relations.ts'
import type {CellHostSettings} from './cell-host.ts'
import type {MirroringSettings} from './mirroring/mirroring.ts'
import type {Reloadable, ServerSettings} from './server.ts'

/** Largest request, bytes; what a registration may hold is less. */
const MESSAGE_BYTES = 1024 * 1024
const HANDSHAKE_MS = 10_000
/** Connections whose rate and order are remembered; a forgotten one that speaks again starts afresh. */
const CONNECTIONS = 65_536

/** Settings of the ZeroMQ side. */
export function serverSettings(conf: Conf): Omit<ServerSettings, 'onTerminate' | 'onFatal'> {
  return {
    ...reloadable(conf),
    bind: conf.bind,
    ports: {req: conf['zmq:req:port'], pub: conf['zmq:pub:port'], hb: conf['zmq:hb:port'], rep: conf['zmq:rep:port']},
    limits: {messageBytes: MESSAGE_BYTES, hwm: conf['zmq:hwm'], handshakeMs: HANDSHAKE_MS, connections: CONNECTIONS},
    pubHwm: conf['zmq:pub:hwm'],
    uniqueTypes: conf['zmq:types:unique'],
    bridge: {toAha: conf['bridge:zmq:to:aha'], toZeromq: conf['bridge:aha:to:zmq']},
  }
}

/** Those of them that can change while it runs. */
export function reloadable(conf: Conf): Reloadable {
  return {
    strategy: conf['discover:strategy'],
    graceMs: conf['lease:grace'],
    cleanupMs: conf['cleanup:interval'],
    replyWithinMs: conf['zmq:reply:within'],
    messagesPerS: conf['zmq:rate'],
    allowTerminate: conf['zmq:allow:terminate'],
  }
}

export function userOptions(conf: Conf): Omit<UserBookOptions, 'cellIden' | 'inaugural'> {
  const policy = conf['auth:passwd:policy']
  const passwd = conf['auth:passwd']
  return {
    policy: policy === null ? NO_POLICY : readPolicy(policy),
    maxUsers: conf['max:users'],
    rootPasswd: passwd === null ? undefined : new Secret(passwd),
  }
}

/** Users and roles of a directory that begins now. */
export function inauguralOf({inaugural}: Conf): Inaugural | undefined {
  return inaugural === null ? undefined : readInaugural(inaugural)
}

export function cellSettings(conf: Conf): CellHostSettings {
  const port = conf['https:port']
  const name = conf['telepath:name']
  return {
    listen: conf['dmon:listen'],
    https:
      port === null
        ? undefined
        : {
            bind: conf['https:bind'],
            port,
            headers: (conf['https:headers'] ?? {}) as Readonly<Record<string, string>>, // as the option's check found
            isBehindProxy: conf['https:parse:proxy:remoteip'],
          },
    network: conf['aha:network'] ?? undefined,
    ahaName: conf['aha:name'] ?? undefined,
    leader: conf['aha:leader'] ?? undefined,
    anonymous: conf['auth:anon'] ?? undefined,
    mirror: conf.mirror ?? [],
    shareNames: name === null ? [] : [name],
  }
}

/** How this server is a member of its cell. */
export function mirroringSettings(conf: Conf): MirroringSettings {
  const member = memberNames(conf)
  return {
    mirror: conf.mirror ?? [],
    names: {
      dnsName: ahaNames(conf)?.dnsName,
      ahaName: member === undefined ? undefined : `${member.name}.${member.network}`,
      network: conf['aha:network'] ?? undefined,
    },
    servers: conf['aha:registry'] ?? [],
    lead: {confirmMs: conf['leader:confirm'], isAlone: conf['leader:alone']},
    isSafe: conf.safemode,
  }
}

/** The name that a backup of this server has its cell by; null when it has none. */
export function backedUpName(conf: Conf): string | null {
  const member = memberNames(conf)
  return member === undefined ? null : `${member.name}.${member.network}`
}
