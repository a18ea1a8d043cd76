import {Flags} from '@oclif/core'
import {systemClock} from '../base/clock.ts'
import {DURATION_FORM, parseDuration} from '../base/duration.ts'
import {RegistryError} from '../base/errors.ts'
import type {AhaAdmin, UrlLife} from '../client/aha-admin.ts'
import {sanitizeUrl} from '../wire/telepath/url.ts'
import {CellCommand, type CellWish} from './cell-command.ts'
import {holderOf, type MintReport, mintText} from './provision-text.ts'

const lifeFlag = Flags.custom<UrlLife>({
  helpValue: '<duration>|never',
  parse: async (input) => {
    const life = input === 'never' ? input : parseDuration(input)
    if (life !== undefined) return life
    throw new RegistryError('REG_USAGE', `"${input}" is no life of a URL: never, or ${DURATION_FORM}`)
  },
})

/** Flags of a command that makes a one-time URL. */
export const mintFlags = {
  expires: lifeFlag({
    summary:
      'Life of the URL; without it what provision:expires of the AHA says, 24h. On a real Synapse AHA they never expire.',
  }),
  'only-url': Flags.boolean({
    summary: 'Print the URL and nothing else.',
    default: false,
    exclusive: ['json'],
  }),
}

interface Minted {
  readonly url: string
  readonly kind: 'service' | 'user'
  readonly name: string
  readonly network: string
  /** Who comes with it, by his name at the AHA. */
  readonly user: string
  readonly mirror?: string | undefined
  readonly setting: string | null
}

/** A command about the one-time URLs of an AHA. */
export abstract class ProvisionCommand extends CellCommand {
  /** Opens the AHA that the flags name. */
  protected async openAha(flags: CellWish): Promise<AhaAdmin> {
    const {AhaAdmin} = await import('../client/aha-admin.ts')
    const {cell, url} = await this.openFirst(await this.chooseUrls('cell', flags), flags)
    return new AhaAdmin(cell, sanitizeUrl(url), this.signal)
  }

  /** Shows a URL that was made, with all that the AHA says of it. */
  protected async showMinted(aha: AhaAdmin, minted: Minted, isBare: boolean): Promise<MintReport | undefined> {
    const {url, kind, name, network, user, mirror = null, setting} = minted
    if (isBare) {
      await this.write(`${url}\n`)
      return undefined
    }
    const expires = await expiryOf(aha, url)
    const holder = holderOf(user, await aha.findUser(user))
    const report = {url, kind, name, network, user: holder, mirror, expires, setting}
    return this.show(report, () => mintText(report, systemClock.wallMs()))
  }
}

/** Gives when a URL that was just made expires; null for never, which an AHA says that does not keep a book. */
export async function expiryOf(aha: AhaAdmin, url: string): Promise<string | null> {
  const [listed] = aha.keepsBook ? await aha.provisions(idenIn(url)) : []
  const expiresMs = listed?.expiresMs ?? null
  return expiresMs === null ? null : new Date(expiresMs).toISOString()
}

/**
 * Gives the name of a service or a user within the network of its AHA.
 *
 * @throws RegistryError `REG_USAGE` for one with its network
 */
export function checkRelative(kind: 'service' | 'user', name: string, network: string): string {
  const ending = ['...', `.${network}`, `@${network}`].find((one) => name.endsWith(one))
  if (ending === undefined) return name
  const short = name.slice(0, -ending.length)
  throw new RegistryError('REG_USAGE', `${name} is to be named without its network: ${short}`, {
    hints: [`registry provision ${kind} ${short}`],
  })
}

/** Gives the iden that a one-time URL leads to; undefined when the text is none. */
export function idenIn(text: string): string | undefined {
  return /^(?:\w+:\/\/[^/]+\/)?([0-9a-f]{32})(?:\?.*)?$/.exec(text)?.[1]
}
