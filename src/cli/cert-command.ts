import {join, resolve} from 'node:path'
import {systemClock} from '../base/clock.ts'
import {RegistryError} from '../base/errors.ts'
import {readEnvironment} from '../config/environment.ts'
import {CertDir} from '../pki/cert-dir.ts'
import type {Purpose} from '../pki/certificate-facts.ts'
import {DEFAULT_TTL_MS, issueInto, type Terms} from '../pki/issuer.ts'
import type {KeyType} from '../pki/keys.ts'
import {parseSubjectNames} from '../pki/subject-names.ts'
import {BaseCommand} from './base-command.ts'
import {type CertificateJson, certificateJson, issuedText} from './cert-text.ts'

interface DirectoryWish {
  readonly certdir?: string | undefined
  readonly dir?: string | undefined
}

interface TermsWish {
  readonly ttl?: number | undefined
  readonly backdate?: number | undefined
  readonly sans?: string | undefined
}

interface IssueWish extends DirectoryWish, TermsWish {
  readonly key?: KeyType | undefined
  readonly force: boolean
}

export interface IssuedJson {
  readonly certificate: CertificateJson
  /** What was written, in this order. */
  readonly files: readonly string[]
}

/** A command about certificates. */
export abstract class CertCommand extends BaseCommand {
  /** Gives the certificate directory that the flags name. */
  protected certDir({certdir, dir}: DirectoryWish): CertDir {
    if (dir !== undefined) return new CertDir(join(resolve(dir), 'certs'))
    return new CertDir(certdir ?? readEnvironment().certDir)
  }

  /** Gives how long a certificate is to live, and what else it says. */
  protected terms({ttl, backdate, sans}: TermsWish): Terms {
    return {
      nowMs: systemClock.wallMs(),
      ttlMs: ttl ?? DEFAULT_TTL_MS,
      backdateMs: backdate,
      alternativeNames: sans === undefined ? [] : parseSubjectNames(sans),
    }
  }

  /** Makes a key and a certificate, and says so. Without `signAs` the certificate signs itself. */
  protected async issue(
    {purpose, name, signAs}: {readonly purpose: Purpose; readonly name: string; readonly signAs: string | undefined},
    flags: IssueWish,
  ): Promise<IssuedJson> {
    const keyType = flags.key ?? (purpose === 'ca' ? 'rsa4096' : 'rsa2048')
    const order = {purpose, name, signAs, keyType, replace: flags.force, ...this.terms(flags)}
    const certDir = this.certDir(flags)
    const {certificate, files} = await this.withProgress(`making a key (${keyType})`, () => issueInto(certDir, order))
    const [keyPath = '', path = ''] = files
    const issued = {certificate: certificateJson(certificate, {kind: purpose, path}), files: [keyPath, path]}
    return this.show(issued, issuedText)
  }

  /** Gives the authority that signs: the one that was named, else the only one that has its key here, which is said. */
  protected async signer(certDir: CertDir, signas: string | undefined): Promise<string> {
    if (signas !== undefined) return signas
    const keys = new Set((await certDir.list('ca', 'key')).map(({name}) => name))
    const names = (await certDir.list('ca', 'crt')).map(({name}) => name).filter((name) => keys.has(name))
    const [only] = names
    if (only === undefined || names.length > 1) throw noSigner(certDir, names)
    this.say(`signed by ${only}, the only authority with a key in ${certDir.paths[0]}`)
    return only
  }

  /** True when somebody sits there who can be asked. */
  protected get isAskable(): boolean {
    return process.stdin.isTTY && process.stderr.isTTY && !this.jsonEnabled()
  }

  private async withProgress<T>(text: string, work: () => Promise<T>): Promise<T> {
    using _ = await this.progress(text)
    return await work()
  }
}

function noSigner(certDir: CertDir, names: readonly string[]): RegistryError {
  if (names.length === 0) {
    return new RegistryError('REG_CERT_MISSING', `no authority has its key in ${certDir.paths[0]}`, {
      telepath: 'NoCertKey',
      hints: ['registry cert ca NAME', 'give another directory with --certdir'],
    })
  }
  return new RegistryError('REG_USAGE', `several authorities could sign: ${names.join(', ')}`, {
    hints: names.slice(0, 3).map((name) => `give --signas ${name}`),
  })
}
