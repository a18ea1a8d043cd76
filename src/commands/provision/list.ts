import {Flags} from '@oclif/core'
import {cellFlags} from '../../cli/cell-command.ts'
import {ProvisionCommand} from '../../cli/provision-command.ts'
import {certificateTable, type ProvisionReport, provisionReport, provisionTable} from '../../cli/provision-text.ts'

export default class ProvisionList extends ProvisionCommand {
  static override readonly summary = 'List the one-time URLs of an AHA, and what became of them.'
  static override readonly description =
    `A URL is pending until somebody comes with it, claimed while that lasts, then used; or it has expired. The list holds no URL that could be used. What is
no longer good for anything is kept for a while. A real Synapse AHA cannot list what it has made.`
  static override readonly exits = {3: 'that AHA cannot list them', 4: 'you are no administrator there'}
  static override readonly examples = [
    {description: 'List all of them.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'List those that were used, with the certificates that came of it.',
      command: '<%= config.bin %> <%= command.id %> --state used --certs',
    },
  ]
  static override readonly flags = {
    state: Flags.string({
      summary: 'Only those in this state; may be given several times.',
      options: ['pending', 'claimed', 'used', 'expired'],
      multiple: true,
      multipleNonGreedy: true,
      default: [],
    }),
    certs: Flags.boolean({
      summary: 'List the certificates that were signed instead, with their serials.',
      default: false,
    }),
    ...cellFlags,
  }

  async run(): Promise<{provisions: readonly ProvisionReport[]}> {
    const {flags} = await this.parse(ProvisionList)
    await using aha = await this.openAha(flags)
    await aha.network()
    const all = await aha.provisions()
    const provisions = all.filter(({state}) => flags.state.length === 0 || flags.state.includes(state))
    const hasCertificates = provisions.some(({certificates}) => certificates.length > 0)
    if (provisions.length === 0) this.say('there are no such one-time URLs')
    else if (!flags.certs) this.show(provisions, provisionTable)
    else if (hasCertificates) this.show(provisions, certificateTable)
    else this.say('no certificates were signed for them')
    return {provisions: provisions.map(provisionReport)}
  }
}
