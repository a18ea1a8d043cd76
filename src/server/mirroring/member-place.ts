import {TeleEnv} from '../../client/telepath/tele-env.ts'
import type {CertDir} from '../../pki/cert-dir.ts'
import {DEFAULT_PORT, formatUrl, parseUrl} from '../../wire/telepath/url.ts'
import type {FollowerPorts} from './follower.ts'

/** What a member is known by. */
export interface MemberNames {
  /** `dns:name` */
  readonly dnsName: string | undefined
  /** Full name of this service at an AHA. */
  readonly ahaName: string | undefined
  /** `aha:network` */
  readonly network: string | undefined
}

/** Every address of the machine: nobody else can connect to it under that name. */
const EVERYWHERE: ReadonlySet<string> = new Set(['0.0.0.0', '::', '*'])

/**
 * Gives the name of this member, and the URLs where the others reach it: none when it has no listener with TLS. `url` is that of its
 * listener, with the port that it has. One that listens everywhere is reached under the name of its certificate.
 */
export function memberPlace(
  {dnsName, ahaName}: MemberNames,
  url: string | null,
  fallback: string,
): {readonly name: string; readonly urls: readonly string[]} {
  const name = dnsName ?? ahaName ?? fallback
  if (url === null) return {name, urls: []}
  const {scheme, host, port = DEFAULT_PORT, params} = parseUrl(url)
  if (scheme !== 'ssl') return {name, urls: []}
  const hostname = params.get('hostname')
  if (EVERYWHERE.has(host)) return {name, urls: [formatUrl(sslUrl(hostname ?? name, port))]}
  const named = hostname === undefined || hostname === null ? [] : ([['hostname', hostname]] as const)
  return {name, urls: [formatUrl({...sslUrl(host, port), params: new Map(named)})]}
}

/** Makes what opens URLs of other members: with the certificate of a member, where the URL names no user. */
export function memberOpener(
  certs: CertDir,
  {network}: Pick<MemberNames, 'network'>,
  servers: readonly string[],
): {readonly open: FollowerPorts['open']; readonly close: () => Promise<void>} {
  const aliases = new Map<string, string>()
  const env = new TeleEnv({
    certDir: certs,
    servers: [servers].filter(({length}) => length > 0),
    aliases,
    onWarning: () => undefined,
  })
  return {
    open: (text, options) => {
      const url = parseUrl(text)
      const isNamed = url.user !== undefined || url.params.has('certname') || network === undefined
      const params = isNamed ? url.params : new Map([...url.params, ['certname', `root@${network}`]])
      return env.open(url.scheme === 'ssl' ? formatUrl({...url, params}) : text, options)
    },
    close: () => env[Symbol.asyncDispose](),
  }
}

function sslUrl(host: string, port: number) {
  return {scheme: 'ssl', host, port, path: '', params: new Map<string, string>()} as const
}
