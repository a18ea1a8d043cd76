import {Args} from '@oclif/core'
import {systemClock} from '../../base/clock.ts'
import {CertCommand} from '../../cli/cert-command.ts'
import {inspectTarget} from '../../cli/cert-find.ts'
import {certDirFlags, kindFlag} from '../../cli/cert-flags.ts'
import {type InspectedJson, inspectedJson, inspectedTable, problemsOf} from '../../cli/cert-text.ts'
import {durationFlag} from '../../cli/flags.ts'
import {type Inspection, inspectDir} from '../../pki/inspect.ts'

interface Checked {
  readonly ok: boolean
  readonly certificates: readonly InspectedJson[]
  readonly unreadable: Inspection['unreadable']
}

export default class CertCheck extends CertCommand {
  static override readonly summary =
    'Check certificates: chain, signatures, times, purpose, revocation, keys. Ends with 8 if one fails.'
  static override readonly description =
    `Trusted are the authorities of the directory, and their revocation lists count. The first reason that is found is said:
expired, not yet valid, unknown authority, wrong purpose, revoked, bad signature, not an authority, too many links.`
  static override readonly exits = {
    3: 'there is no such certificate',
    8: 'one is not valid, or ends within --expires-in',
  }
  static override readonly args = {
    name: Args.string({
      description: 'Name of a certificate in the directory, or a file. Without it: all of the directory.',
    }),
  }
  static override readonly examples = [
    {
      description: 'Check all certificates of a cell, and that none ends within a month; for a cron job.',
      command: '<%= config.bin %> <%= command.id %> --dir ./axon --expires-in 30d',
    },
    {
      description: 'Check a certificate that somebody sent, for use by a host.',
      command: '<%= config.bin %> <%= command.id %> ./answer.pem --kind host',
    },
  ]
  static override readonly flags = {
    kind: kindFlag({summary: 'Only this kind; of a file, what it is to be used for.'}),
    'expires-in': durationFlag({summary: 'Also refuse what ends within this time.'}),
    ...certDirFlags,
  }

  async run(): Promise<Checked> {
    const {args, flags} = await this.parse(CertCheck)
    const certDir = this.certDir(flags)
    const nowMs = systemClock.wallMs()
    const {kind} = flags
    const {certificates, unreadable} =
      args.name === undefined
        ? await inspectDir(certDir, {kind}, nowMs)
        : await inspectTarget(certDir, {target: args.name, kind}, nowMs)
    const rows = certificates.map((one) => inspectedJson(one, problemsOf(one, nowMs, flags['expires-in'] ?? 0)))
    const ok = unreadable.length === 0 && rows.every((row) => row.ok)
    for (const {path, reason} of unreadable) this.say(`${path}: ${reason}`)
    if (rows.length === 0) this.say(`no certificate in ${certDir.paths[0]}`)
    else this.show(rows, () => inspectedTable(rows, nowMs))
    if (!ok) this.sayNo()
    return {ok, certificates: rows, unreadable}
  }
}
