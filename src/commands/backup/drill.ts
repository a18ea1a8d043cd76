import {tmpdir} from 'node:os'
import {resolve} from 'node:path'
import {Flags} from '@oclif/core'
import {systemClock} from '../../base/clock.ts'
import {identitiesIn, identityFlags} from '../../cli/backup-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {type DrillReport, drillText} from '../../cli/drill-text.ts'
import {durationFlag, pathArg, pathFlag} from '../../cli/flags.ts'
import {onBackup} from '../../cli/given-backup.ts'

const START_MS = 120_000
/** Of a drill that could not find out. */
const INCONCLUSIVE = 1

export default class BackupDrill extends BaseCommand {
  static override readonly summary =
    'Prove a backup by restoring it: the real service is started on a copy and compared with the manifest.'
  static override readonly description =
    `The copy lies in a scratch directory and is removed at the end. It cannot reach the service that it was made of, nor its AHA: it runs in safemode, with
none of the options that lead to others, none of the variables of the caller, and a network of its own where the system allows that; the report says
which of these were in force. A Synapse service needs a Python that has Synapse. What came of it is kept beside the backup.`
  static override readonly exits = {
    1: 'inconclusive: the service is not installed here, or did not answer in time',
    8: 'failed: the backup is damaged, or what it restores to is not what was backed up',
  }
  static override readonly args = {
    backup: pathArg({
      description: 'The backup: its directory, its archive, or a directory of backup follow.',
      required: true,
    }),
  }
  static override readonly examples = [
    {description: 'Prove a backup.', command: '<%= config.bin %> <%= command.id %> ./backups/20261121120000'},
    {
      description: 'Prove one of a Synapse service, with the Python that has Synapse.',
      command: '<%= config.bin %> <%= command.id %> ./backups/axon --python /opt/synapse/bin/python',
    },
    {
      description: 'Look at what was restored afterwards.',
      command: '<%= config.bin %> <%= command.id %> ./backups/20261121120000 --keep --scratch /var/tmp',
    },
  ]
  static override readonly flags = {
    ...identityFlags,
    python: pathFlag({summary: 'Python that has Synapse; without it, the one on the PATH.', helpValue: '<path>'}),
    scratch: pathFlag({
      summary: 'Directory for the copy; without it, that for temporary files.',
      helpValue: '<directory>',
    }),
    keep: Flags.boolean({summary: 'Leave the copy where it is.'}),
    timeout: durationFlag({summary: 'How long the service may take until it answers.', default: START_MS}),
  }

  async run(): Promise<DrillReport> {
    const {args, flags} = await this.parse(BackupDrill)
    const {openAnyBackup} = await import('../../backup/open-backup.ts')
    const {runDrill} = await import('../../server/drill/drill.ts')
    const {signal} = this
    const identities = await identitiesIn(flags.identity)
    const backup = await onBackup(args.backup, async () => await openAnyBackup(args.backup, {identities}))
    using progress = this.workProgress()
    const report = await runDrill(backup, {
      ...{identities, progress, signal, clock: systemClock, startMs: flags.timeout, isKept: flags.keep},
      python: flags.python,
      scratch: resolve(flags.scratch ?? tmpdir()),
    })
    if (report.result === 'failed') this.sayNo()
    if (report.result === 'inconclusive') process.exitCode = INCONCLUSIVE
    return this.show(report, drillText)
  }
}
