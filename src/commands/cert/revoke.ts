import {Args, Flags} from '@oclif/core'
import {systemClock} from '../../base/clock.ts'
import {RegistryError} from '../../base/errors.ts'
import {confirmFlags} from '../../cli/cell-command.ts'
import {CertCommand} from '../../cli/cert-command.ts'
import {loadTarget} from '../../cli/cert-find.ts'
import {certDirFlags, kindFlag} from '../../cli/cert-flags.ts'
import {confirm} from '../../cli/confirm.ts'
import {keyValues} from '../../cli/render.ts'
import type {CertDir} from '../../pki/cert-dir.ts'
import {factsOf, type Purpose} from '../../pki/certificate-facts.ts'
import {REVOCATION_REASONS, type RevocationReason} from '../../pki/crl.ts'
import {plainSerial} from '../../pki/peer-certificate.ts'
import {revoke} from '../../pki/revoke.ts'
import {authorityOf} from '../../pki/trust.ts'

interface Revoked {
  readonly ca: string
  readonly serial: string
  readonly reason: string
  /** False when it was revoked before, and with --dry-run. */
  readonly isChanged: boolean
  readonly isDryRun: boolean
  readonly path: string
  /** How many certificates the list has. */
  readonly before: number
  readonly after: number
}

interface Wish {
  readonly kind?: Purpose | undefined
  readonly serial?: string | undefined
  readonly signas?: string | undefined
}

export default class CertRevoke extends CertCommand {
  static override readonly summary = 'Revoke a certificate: no listener of a registry accepts it any more.'
  static override readonly description =
    `Adds it to the revocation list of its authority, whose key has to be here. A running registry that has the list in its
certificate directory notices within seconds and closes what is open with the certificate; elsewhere, take the list in with cert import. Stock
Synapse listeners do not regard revocation lists: lock the user there as well.`
  static override readonly exits = {
    3: 'the certificate, its authority or the key of that is not here',
    4: 'it is not signed by that authority',
  }
  static override readonly args = {
    name: Args.string({description: 'Its name in the directory, or its file. Without it: --serial.'}),
  }
  static override readonly examples = [
    {
      description: 'Revoke the certificate of a user.',
      command: '<%= config.bin %> <%= command.id %> visi@demo.net --kind user --reason keyCompromise --yes',
    },
    {
      description: 'See what revoking one would do of which only the serial number is known.',
      command: '<%= config.bin %> <%= command.id %> --serial 4a87f3d4b714cba1 --signas demo.net --dry-run',
    },
  ]
  static override readonly flags = {
    kind: kindFlag({summary: 'Kind of certificate, where several have the name.'}),
    serial: Flags.string({
      summary: 'Serial number in hex, instead of a name.',
      helpValue: '<hex>',
      dependsOn: ['signas'],
    }),
    signas: Flags.string({summary: 'Authority that revokes. Without it: the one that signed.', helpValue: '<ca>'}),
    reason: Flags.custom<RevocationReason>({
      summary: 'Why.',
      options: [...REVOCATION_REASONS],
      default: 'unspecified',
      parse: async (input) => REVOCATION_REASONS.find((reason) => reason === input) ?? 'unspecified',
    })(),
    ...confirmFlags,
    ...certDirFlags,
  }

  async run(): Promise<Revoked> {
    const {args, flags} = await this.parse(CertRevoke)
    const certDir = this.certDir(flags)
    const {ca, serial, what} = await findRevoked(certDir, args.name, flags)
    const isDryRun = flags['dry-run']
    const order = {ca, serials: [serial], reason: flags.reason, nowMs: systemClock.wallMs()}
    const preview = await revoke(certDir, {...order, dryRun: true})
    if (!isDryRun && preview.added.length > 0) {
      const options = {isGiven: flags.yes, isAskable: this.isAskable, signal: this.signal}
      await confirm({what: `revoke ${what}`, about: ['This cannot be taken back.']}, options)
    }
    const {path, entries, added} =
      isDryRun || preview.added.length === 0 ? preview : await revoke(certDir, {...order, dryRun: false})
    const reason = entries.find((entry) => entry.serial === serial)?.reason ?? flags.reason
    const counts = {before: entries.length - added.length, after: entries.length}
    const revoked = {ca, serial, reason, isChanged: !isDryRun && added.length > 0, isDryRun, path, ...counts}
    return this.show(revoked, (data) => revokedText(data, what))
  }
}

function revokedText({ca, serial, reason, isDryRun, path, before, after}: Revoked, what: string): string {
  const done = before === after ? 'was revoked before' : isDryRun ? 'would be revoked' : 'revoked'
  return keyValues([
    [done, what],
    ['serial', serial],
    ['authority', ca],
    ['reason', reason],
    ['revocation list', path],
    ['certificates in it', before === after ? String(after) : `${before} -> ${after}`],
  ])
}

async function findRevoked(
  certDir: CertDir,
  name: string | undefined,
  {kind, serial, signas}: Wish,
): Promise<{ca: string; serial: string; what: string}> {
  if (name === undefined) return bySerial(serial, signas)
  const certificate = await loadTarget(certDir, {target: name, kind})
  const facts = factsOf(certificate)
  const authority = await authorityOf(certDir, certificate)
  if (authority === undefined || (signas !== undefined && signas !== authority.name)) {
    throw new RegistryError(
      'REG_CERT_INVALID',
      `${facts.name} is not signed by ${signas ?? 'an authority that is here'}`,
      {
        info: {name: facts.name, issuer: facts.issuer},
        hints: [`its issuer is ${facts.issuer}`, 'registry cert list --kind ca'],
      },
    )
  }
  return {ca: authority.name, serial: facts.serial, what: `${facts.name} (serial ${facts.serial})`}
}

function bySerial(serial: string | undefined, signas: string | undefined): {ca: string; serial: string; what: string} {
  if (serial === undefined || signas === undefined) {
    throw new RegistryError('REG_USAGE', 'name a certificate, or give --serial and --signas')
  }
  const plain = plainSerial(serial.replaceAll(':', ''))
  if (!/^[0-9a-f]{1,40}$/.test(plain)) throw new RegistryError('REG_USAGE', `${serial} is no serial number in hex`)
  return {ca: signas, serial: plain, what: `the certificate with serial ${plain}`}
}
