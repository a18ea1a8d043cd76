import {Args, Flags} from '@oclif/core'
import {systemClock} from '../../base/clock.ts'
import {dryRunFlag} from '../../cli/cell-command.ts'
import {CertCommand} from '../../cli/cert-command.ts'
import {inspectOneTarget} from '../../cli/cert-find.ts'
import {certDirFlags, keyFlag, kindFlag, termFlags} from '../../cli/cert-flags.ts'
import {runHook} from '../../cli/cert-hook.ts'
import {type RenewalJson, renewalTable, renewOne} from '../../cli/cert-renewals.ts'
import {durationFlag} from '../../cli/flags.ts'
import type {CertDir} from '../../pki/cert-dir.ts'
import type {Purpose} from '../../pki/certificate-facts.ts'
import {type Inspected, inspectDir} from '../../pki/inspect.ts'

interface Renewals {
  readonly ok: boolean
  readonly certificates: readonly RenewalJson[]
}

type Renewable = Inspected & {readonly kind: Purpose}

export default class CertRenew extends CertCommand {
  static override readonly summary = 'Renew the certificates that have lived two thirds of their life.'
  static override readonly description =
    `The new certificate has the same name, the same other names and the same life, of the same authority, whose key has to be
here; the key is a new one. What was there stays as .bak. Without a name: all hosts, users and code certificates that have their key here. The
hook runs once, when something was renewed, with REGISTRY_CERT_DIR and REGISTRY_RENEWED (one KIND/NAME per line) in its environment.`
  static override readonly exits = {3: 'there is no such certificate', 8: 'one that is due could not be renewed'}
  static override readonly args = {
    name: Args.string({description: 'Name of a certificate. Without it: all that are due.'}),
  }
  static override readonly examples = [
    {
      description: 'Renew what is due and make the registry read it; for a daily cron job.',
      command: "<%= config.bin %> <%= command.id %> --dir ./cell --hook 'systemctl reload registry'",
    },
    {
      description: 'Renew one now, whenever it ends.',
      command: '<%= config.bin %> <%= command.id %> 00.axon.demo.net --kind host --now',
    },
  ]
  static override readonly flags = {
    kind: kindFlag({summary: 'Only this kind.'}),
    now: Flags.boolean({summary: 'Also renew what is not due.', default: false}),
    hook: Flags.string({summary: 'Shell command to run when something was renewed.', helpValue: '<command>'}),
    key: keyFlag({summary: 'Kind of the new key; that of the old one unless given.', exclusive: ['keep-key']}),
    'keep-key': Flags.boolean({summary: 'Go on with the key that is there. Authorities always do.', default: false}),
    ...termFlags,
    ttl: durationFlag({summary: 'How long it is valid; as long as the old one unless given.'}),
    ...dryRunFlag,
    ...certDirFlags,
  }

  async run(): Promise<Renewals> {
    const {args, flags} = await this.parse(CertRenew)
    const certDir = this.certDir(flags)
    const nowMs = systemClock.wallMs()
    const found = await findRenewable(certDir, {name: args.name, kind: flags.kind}, nowMs)
    const wish = {
      ...{nowMs, ttlMs: flags.ttl, backdateMs: flags.backdate, keyType: flags.key},
      ...{keepKey: flags['keep-key'], isForced: flags.now, isDryRun: flags['dry-run']},
    }
    const certificates: RenewalJson[] = []
    for (const one of found) certificates.push(await renewOne(certDir, one, wish))
    if (certificates.length === 0) this.say(`nothing to renew in ${certDir.paths[0]}`)
    else this.show(certificates, renewalTable)
    const ok = certificates.every(({state}) => state !== 'failed')
    if (!ok) this.sayNo()
    await this.#runHook(flags.hook, certDir, certificates)
    return {ok, certificates}
  }

  async #runHook(hook: string | undefined, certDir: CertDir, certificates: readonly RenewalJson[]): Promise<void> {
    const renewed = certificates.filter(({state}) => state === 'renewed').map(({kind, name}) => `${kind}/${name}`)
    if (hook === undefined || renewed.length === 0) return
    const variables = {REGISTRY_CERT_DIR: certDir.paths[0], REGISTRY_RENEWED: renewed.join('\n')}
    await runHook(hook, variables, this.signal)
  }
}

/** Finds the certificates to look at: the one that was named, or all that have their key here, authorities only when asked for. */
async function findRenewable(
  certDir: CertDir,
  {name, kind}: {readonly name: string | undefined; readonly kind: Purpose | undefined},
  nowMs: number,
): Promise<readonly Renewable[]> {
  if (name !== undefined) return [await inspectOneTarget(certDir, {target: name, kind}, nowMs)].filter(isOfKind)
  const {certificates} = await inspectDir(certDir, {kind}, nowMs)
  return certificates.filter(isOfKind).filter((one) => one.key !== 'missing' && (kind === 'ca' || one.kind !== 'ca'))
}

function isOfKind(one: Inspected): one is Renewable {
  return one.kind !== undefined
}
