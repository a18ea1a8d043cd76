import {Flags} from '@oclif/core'
import type {CellAdmin} from '../client/admin.ts'
import type {TeleEnv} from '../client/telepath/tele-env.ts'
import type {TelepathProxy} from '../wire/telepath/caller.ts'
import {BaseCommand} from './base-command.ts'
import {type Confirmation, confirm} from './confirm.ts'
import {durationFlag} from './flags.ts'
import type {OpenedCell} from './open-cell.ts'

/** Flags of a command that talks to a cell, ours or a real Synapse one. */
export const cellFlags = {
  url: Flags.string({
    summary:
      'Cell to talk to. Without it: REGISTRY_URL, else the cell that runs on the data directory, else the first AHA of telepath.yaml.',
    helpValue: 'cell://DIR',
    helpGroup: 'CELL',
  }),
  dir: Flags.string({
    summary: 'Data directory whose cell to talk to. Without it: REGISTRY_DIR, else ~/.local/share/registry.',
    helpValue: '<directory>',
    helpGroup: 'CELL',
  }),
  timeout: durationFlag({
    summary: 'Longest wait for each answer of the cell; 60s unless given.',
    helpGroup: 'CELL',
  }),
}

/** Flag of a command that takes something away. */
export const dryRunFlag = {
  'dry-run': Flags.boolean({summary: 'Show what would be done, and do nothing.', default: false}),
}

/** Flags of a command that takes something away and asks before. */
export const confirmFlags = {
  ...dryRunFlag,
  yes: Flags.boolean({summary: 'Do not ask.', default: false}),
}

export interface CellWish {
  readonly url?: string | undefined
  readonly dir?: string | undefined
  readonly timeout?: number | undefined
  /** Whether values are to come such that the same can be sent again. */
  readonly isExact?: boolean | undefined
}

/** A command that talks to a cell over Telepath. */
export abstract class CellCommand extends BaseCommand {
  /** Opens the cell that the flags, or an argument, name; its calls end when the command is cancelled. */
  protected async openCell(flags: CellWish, argument?: string): Promise<TelepathProxy> {
    return (await this.openFirst(await this.chooseUrls('cell', flags, argument), flags)).cell
  }

  /** Opens the first of these URLs at which a cell answers; its calls end when the command is cancelled. */
  protected async openFirst(urls: readonly [string, ...string[]], flags: CellWish): Promise<OpenedCell> {
    const {openCell} = await import('./open-cell.ts')
    const onWarning = (text: string) => this.say(text)
    return await openCell(urls, {timeoutMs: flags.timeout, isExact: flags.isExact, signal: this.signal, onWarning})
  }

  /** Opens the cell that the flags name, for the calls about users, roles and keys. */
  protected async openAdmin(flags: CellWish): Promise<CellAdmin> {
    const {CellAdmin} = await import('../client/admin.ts')
    return new CellAdmin(await this.openCell(flags), this.signal)
  }

  /** Loads what is needed to reach the other services of the cell at this URL. */
  protected async openEnv(url: string): Promise<TeleEnv> {
    const {envFor} = await import('./open-cell.ts')
    return await envFor(url, (text) => this.say(text))
  }

  /** True when somebody sits there who can be asked. */
  protected get isAskable(): boolean {
    return process.stdin.isTTY && process.stderr.isTTY && !this.jsonEnabled()
  }

  /** Lets a person confirm what takes something away, unless `--yes` or `--dry-run` is given. */
  protected async confirm(
    confirmation: Confirmation,
    flags: {readonly yes: boolean; readonly 'dry-run': boolean},
  ): Promise<void> {
    const isGiven = flags.yes || flags['dry-run']
    await confirm(confirmation, {isGiven, isAskable: this.isAskable, signal: this.signal})
  }
}
