import {Args} from '@oclif/core'
import {RegistryError} from '../../base/errors.ts'
import {cellFlags, confirmFlags} from '../../cli/cell-command.ts'
import {printable} from '../../cli/printable.ts'
import {idenIn, ProvisionCommand} from '../../cli/provision-command.ts'
import {type ProvisionReport, provisionReport, provisionTitle} from '../../cli/provision-text.ts'
import type {AhaAdmin, Provision} from '../../client/aha-admin.ts'

interface Revoked {
  /** Null where the AHA does not say what it was. */
  readonly revoked: ProvisionReport | null
  readonly dryRun: boolean
}

export default class ProvisionRevoke extends ProvisionCommand {
  static override readonly summary = 'Take a one-time URL back, so that nobody can use it any more.'
  static override readonly description =
    `Works until it was used, also while somebody is about to. The user that was made with it stays: registry user remove takes that away. It is to be
confirmed, or needs --yes. A real Synapse AHA takes the whole URL only, and does not say whether it was still good.`
  static override readonly exits = {3: 'no such one-time URL', 5: 'it was used, or several have this name'}
  static override readonly args = {
    provision: Args.string({
      description:
        'Its id from registry provision list, its URL, or the name of the service, user or host if only one waits.',
      required: true,
    }),
  }
  static override readonly examples = [
    {description: 'Take back the one for an Axon.', command: '<%= config.bin %> <%= command.id %> 00.axon --yes'},
    {
      description: 'See what would be taken back.',
      command: '<%= config.bin %> <%= command.id %> visi --dry-run --json',
    },
  ]
  static override readonly flags = {...confirmFlags, ...cellFlags}

  async run(): Promise<Revoked> {
    const {args, flags} = await this.parse(ProvisionRevoke)
    await using aha = await this.openAha(flags)
    await aha.network()
    const iden = idenIn(args.provision)
    // A real AHA cannot list what it has made, and says so.
    const isListed = aha.keepsBook || iden === undefined
    const found = isListed ? theOne(await aha.provisions(), iden ?? args.provision) : undefined
    const what =
      found === undefined ? `the one-time URL ${shortIden(iden)}` : `the one-time URL of ${provisionTitle(found)}`
    const isDry = flags['dry-run']
    await this.confirm({what: `revoke ${what}`}, flags)
    if (isDry) this.say('dry run: nothing was done')
    else await take(aha, found, iden)
    const isTold = found === undefined ? ', if it was still good: this AHA does not say' : ''
    return this.show({revoked: found === undefined ? null : provisionReport(found), dryRun: isDry}, () =>
      printable(`${isDry ? 'would revoke' : 'revoked'} ${what}${isTold}`),
    )
  }
}

async function take(aha: AhaAdmin, found: Provision | undefined, iden: string | undefined): Promise<void> {
  if (found !== undefined) await aha.revoke(found.id)
  else if (iden !== undefined) await aha.remove(iden)
}

/** Finds what was not used yet, by its id or iden, else by a name that only one has. */
function theOne(provisions: readonly Provision[], wanted: string): Provision {
  const isId = /^[0-9a-f]{8,32}$/.test(wanted)
  const byId = provisions.filter(({id}) => isId && wanted.startsWith(id))
  const matching = byId.length > 0 ? byId : provisions.filter(({name}) => name === wanted)
  const [only, ...others] = matching.filter(({state}) => state !== 'used')
  if (only !== undefined && others.length === 0) return only
  const hints = ['registry provision list']
  const shown = isId ? shortIden(wanted) : wanted
  if (only !== undefined) {
    const ids = [only, ...others].map(({id}) => id)
    const text = `${ids.length} one-time URLs are for ${shown}: give an id`
    throw new RegistryError('REG_CONFLICT', text, {hints, info: {ids}})
  }
  if (matching.length === 0) throw new RegistryError('REG_NOT_FOUND', `there is no one-time URL for ${shown}`, {hints})
  throw new RegistryError('REG_CONFLICT', `the one-time URL for ${shown} has been used`, {hints: toLockOut(matching)})
}

/** What helps against who came in with a URL. Nobody is well advised to lock root. */
function toLockOut(used: readonly Provision[]): readonly string[] {
  const users = new Set(used.map(({kind, user}) => (kind === 'user' ? user : user?.split('@', 1)[0])))
  const locked = [...users].flatMap((user) => (user && user !== 'root' ? [`registry user set ${user} --locked`] : []))
  return [
    ...locked,
    'registry provision list --state used --certs',
    'registry cert revoke --serial SERIAL --signas NETWORK --dir DIR',
  ]
}

/** The whole of it is as good as the URL. */
function shortIden(iden = ''): string {
  return iden.slice(0, 8)
}
