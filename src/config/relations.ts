/** What holds between options: defaults that come from other options, and values that do not go together. */
import {isIPv4} from 'node:net'
import {type ConfigProblem, type Origin, originText} from './layers.ts'
import type {Conf, LiveName} from './options.ts'

/** Options with their values, and where these come from. */
interface Decided {
  readonly conf: Conf
  readonly origins: Readonly<Record<LiveName, Origin>>
}

const ZMQ_PORTS = ['zmq:req:port', 'zmq:pub:port', 'zmq:hb:port', 'zmq:rep:port'] as const satisfies LiveName[]
const TELEPATH_LISTENERS = ['dmon:listen', 'provision:listen'] as const satisfies LiveName[]
const PORTS = [...ZMQ_PORTS, 'https:port'] as const satisfies LiveName[]

/** Gives what is wrong between options, each of which is right by itself. */
export function relationProblems(decided: Decided): ConfigProblem[] {
  return [
    ...portProblems(decided),
    ...exposureProblems(decided),
    ...TELEPATH_LISTENERS.flatMap((option) => telepathProblems(decided, option)),
    ...ahaProblems(decided),
    ...memberProblems(decided),
    ...cloneProblems(decided),
  ]
}

/**
 * The network and the public name of an AHA; undefined when this service is none. Configurations for older releases of the peer have
 * `aha:name: aha` in place of `dns:name`; what else they say tells such an AHA from any other service with a name.
 *
 * @see spec/aha.md, section 7
 */
export function ahaNames(conf: Conf): {readonly network: string; readonly dnsName: string} | undefined {
  const {'aha:network': network, 'dns:name': dnsName, 'aha:name': name} = conf
  if (network === null) return undefined
  if (dnsName !== null) return {network, dnsName}
  const isOldAha = conf['aha:urls'] !== null || conf['provision:listen'] !== null
  return isOldAha && name !== null ? {network, dnsName: `${name}.${network}`} : undefined
}

/** Name and network under which this service registers at an AHA; undefined when it has none. */
export function memberNames(conf: Conf): {readonly network: string; readonly name: string} | undefined {
  const {'aha:network': network, 'aha:name': name} = conf
  return network === null || name === null ? undefined : {network, name}
}

/** Puts in the defaults that come from other options, where nobody set another value. A public name means to be reached from outside. */
export function withDerived(decided: Decided): Decided {
  const {conf, origins} = decided
  const aha = ahaNames(conf)
  const member = conf['aha:registry'] === null ? undefined : memberNames(conf)
  const derived = {
    ...(aha === undefined && conf['dns:name'] === null ? {} : {'https:bind': '0.0.0.0'}),
    ...(member === undefined
      ? {}
      : {'dmon:listen': `ssl://0.0.0.0:0?hostname=${member.name}.${member.network}&ca=${member.network}`}),
    ...(aha === undefined
      ? {}
      : {
          'dmon:listen': `ssl://0.0.0.0:27492?hostname=${aha.dnsName}&ca=${aha.network}`,
          'provision:listen': `ssl://0.0.0.0:27272?hostname=${aha.dnsName}`,
        }),
  }
  const unset = Object.entries(derived).filter(([name]) => origins[name as LiveName].kind === 'default')
  return {conf: Object.freeze({...conf, ...Object.fromEntries(unset)}), origins}
}

function portProblems({conf, origins}: Decided): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  for (const [index, option] of PORTS.entries()) {
    const port = conf[option]
    const other = PORTS.slice(0, index).find((name) => conf[name] === port)
    if (!port || other === undefined) continue
    // Blame the one that somebody set.
    const blamed = origins[option].kind === 'default' ? other : option
    const message = `${option} and ${other} must be different ports (both are ${port}; ${blamed} is from ${originText(origins[blamed])})`
    problems.push({option: blamed, message, origin: origins[blamed]})
  }
  return problems
}

function exposureProblems({conf, origins}: Decided): ConfigProblem[] {
  if (isLoopback(conf.bind) || conf['zmq:allow:plain'] || ZMQ_PORTS.every((name) => conf[name] === null)) return []
  const origin = origins.bind
  const message =
    `bind: ${conf.bind} is not a loopback address, and ZeroMQ has no encryption here: anybody who reaches it could change the registry. ` +
    `Set zmq:allow:plain: true if the network is trusted (from ${originText(origin)})`
  return [{option: 'bind', message, origin}]
}

function telepathProblems({conf, origins}: Decided, option: (typeof TELEPATH_LISTENERS)[number]): ConfigProblem[] {
  const url = conf[option]
  if (url === null) return []
  const origin = origins[option]
  const problem = (message: string) => [{option, message: `${option}: ${message} (from ${originText(origin)})`, origin}]
  if (option === 'provision:listen' && /[?&]ca=/.test(url)) {
    return problem('ca= asks for client certificates, and who comes with a one-time URL has none yet: leave it out')
  }
  const [, scheme = '', host = '', port = ''] = /^(\w+):\/\/(\[[^\]]+\]|[^:/?]+)(?::(\d+))?/.exec(url) ?? []
  if (Number(port) > 65_535) return problem(`${port} is no port`)
  if (scheme === 'ssl' || conf['telepath:allow:plain'] || isLoopback(host.replace(/[[\]]/g, ''))) return []
  return problem(
    `${url} is plain Telepath off loopback: passwords and data could be read on the way. Use ssl://, or set telepath:allow:plain: true if the network is trusted`,
  )
}

/** What is left of the 64 bytes of a name in a certificate after `root@`. */
const MAX_NETWORK = 59
/** Options that mean something to an AHA only, and would be forgotten without a word by any other service. */
const AHA_ONLY = [
  'provision:listen',
  'aha:urls',
  'bridge:zmq:to:aha',
  'bridge:aha:to:zmq',
] as const satisfies LiveName[]

function ahaProblems({conf, origins}: Decided): ConfigProblem[] {
  const aha = ahaNames(conf)
  if (aha !== undefined && aha.network.length > MAX_NETWORK) {
    const origin = origins['aha:network']
    const message = `aha:network must have at most ${MAX_NETWORK} characters in an AHA, so that root@${aha.network} fits into a certificate (from ${originText(origin)})`
    return [{option: 'aha:network', message, origin}]
  }
  if (aha !== undefined || conf.clone !== null) return [] // a clone is told the network and the name
  return AHA_ONLY.filter((option) => conf[option] !== null && conf[option] !== false).map((option) => {
    const origin = origins[option]
    const message = `${option} needs aha:network and dns:name, which make this service an AHA (from ${originText(origin)})`
    return {option, message, origin}
  })
}

/** What registering at another AHA needs. What a one-time URL is to bring may still be missing. */
function memberProblems({conf, origins}: Decided): ConfigProblem[] {
  const problem = (option: LiveName, text: string) => {
    const origin = origins[option]
    return [{option, message: `${option} ${text} (from ${originText(origin)})`, origin}]
  }
  const {'aha:provision': provision, 'aha:registry': registry, 'aha:svcinfo': svcinfo} = conf
  if (provision !== null && (conf['dns:name'] !== null || ahaNames(conf) !== undefined)) {
    return problem(
      'aha:provision',
      'is not for an AHA: it is the authority of its own network, and no other AHA signs for it',
    )
  }
  if (provision !== null) return []
  if (registry === null)
    return svcinfo === null ? [] : problem('aha:svcinfo', 'needs aha:registry, where it is registered')
  if (memberNames(conf) === undefined) {
    return problem('aha:registry', 'needs aha:name and aha:network, under which this service registers')
  }
  if (conf['dmon:listen'] !== null || svcinfo !== null) return []
  return problem('aha:registry', 'needs dmon:listen or aha:svcinfo: there is nothing to register')
}

function cloneProblems({conf, origins}: Decided): ConfigProblem[] {
  const problem = (message: string) => [{option: 'clone', message, origin: origins.clone}]
  const from = `(from ${originText(origins.clone)})`
  if (conf.clone === null) return []
  if (conf['aha:provision'] !== null) {
    return problem(`clone and aha:provision are two ways to begin: leave one of them out ${from}`)
  }
  return conf.backend === 'memory' ? problem(`clone needs backend: sqlite, since a copy is a file ${from}`) : []
}

function isLoopback(address: string): boolean {
  if (address === 'localhost') return true
  return isIPv4(address) ? address.startsWith('127.') : address === '::1'
}
