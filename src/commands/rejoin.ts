import {Args, Flags} from '@oclif/core'
import {systemClock} from '../base/clock.ts'
import {BaseCommand} from '../cli/base-command.ts'
import {confirmFlags} from '../cli/cell-command.ts'
import {confirm} from '../cli/confirm.ts'
import {type RejoinReport, rejoinAbout, rejoinReport, rejoinText} from '../cli/rejoin-text.ts'
import {dataDirOf, readEnvironment} from '../config/environment.ts'

export default class Rejoin extends BaseCommand {
  static override readonly summary = 'Make a member a mirror again whose log went apart from that of the leader.'
  static override readonly description =
    `After a forced promotion the old leader may have changes that the new one lacks: it is fenced then, and says so. This command finds the leader and where
the two logs part, saves the entries that only this member has to DIR/lost-EPOCH-TIME.jsonl, which registry service history --file reads, and takes a
copy of the leader's data in the place of its own. The server on the directory must not run; the next registry serve DIR follows the leader.`
  static override readonly exits = {
    5: 'its server runs, or the other one is of another cell',
    6: 'no leader is found',
  }
  static override readonly args = {
    dir: Args.string({description: 'Data directory. Without it: REGISTRY_DIR, else ~/.local/share/registry.'}),
  }
  static override readonly examples = [
    {description: 'See what only this member has.', command: '<%= config.bin %> <%= command.id %> ./lab --dry-run'},
    {description: 'Follow the new leader.', command: '<%= config.bin %> <%= command.id %> ./lab --yes'},
    {
      description: 'Name the leader where the directory does not know it, and look only.',
      command: '<%= config.bin %> <%= command.id %> ./lab --leader ssl://01.registry.example.net:27492 --dry-run',
    },
  ]
  static override readonly flags = {
    leader: Flags.string({
      summary: 'Where the leader is, or a member that knows; without it, those that the directory knows are asked.',
      helpValue: 'ssl://HOST:PORT',
    }),
    ...confirmFlags,
  }

  async run(): Promise<RejoinReport> {
    const {args, flags} = await this.parse(Rejoin)
    const dir = dataDirOf(args.dir, readEnvironment())
    await using rejoining = await this.#open(dir, flags.leader)
    const {plan} = rejoining
    if (plan.isBeginning || flags['dry-run']) {
      if (flags['dry-run']) this.say('dry run: nothing was done')
      return this.show(rejoinReport(dir, plan, undefined, flags['dry-run']), rejoinText)
    }
    const what = `replace the data of ${dir} by a copy of that of ${plan.leader.name}`
    const isAskable = process.stdin.isTTY && process.stderr.isTTY && !this.jsonEnabled()
    await confirm({what, about: rejoinAbout(plan)}, {isGiven: flags.yes, isAskable, signal: this.signal})
    using progress = await this.progress(`copying from ${plan.leader.name}`)
    const done = await rejoining.run(this.signal)
    progress.say('done')
    return this.show(rejoinReport(dir, plan, done, false), rejoinText)
  }

  async #open(dir: string, leader: string | undefined) {
    const {loadConf} = await import('../config/load.ts')
    const {mirroringSettings} = await import('../server/settings.ts')
    const {memberOpener} = await import('../server/mirroring/member-place.ts')
    const {Rejoining} = await import('../server/mirroring/rejoin.ts')
    const {CertDir} = await import('../pki/cert-dir.ts')
    const {conf} = await loadConf({dir})
    const {names, servers} = mirroringSettings(conf)
    const {open, close} = memberOpener(new CertDir(`${dir}/certs`), names, servers)
    const warn = (event: string, {url, error}: Readonly<Record<string, unknown>>) => {
      if (event === 'rejoin.not-asked')
        this.say(`${url} was not asked: ${error instanceof Error ? error.message : error}`)
    }
    const log = {info: () => undefined, warning: warn}
    return await Rejoining.open({dir, open, close, log, wallMs: () => systemClock.wallMs()}, leader, this.signal)
  }
}
