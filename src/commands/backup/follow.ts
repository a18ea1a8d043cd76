import {hostname} from 'node:os'
import {resolve} from 'node:path'
import {Flags} from '@oclif/core'
import {systemClock} from '../../base/clock.ts'
import {Mailbox} from '../../base/mailbox.ts'
import {CellCommand, cellFlags} from '../../cli/cell-command.ts'
import {durationFlag, pathArg} from '../../cli/flags.ts'
import {FollowLine, followEnd} from '../../cli/follow-text.ts'
import {printable} from '../../cli/printable.ts'
import type {FollowReport} from '../../client/follow-backup.ts'

const DAY_MS = 86_400_000
/** A base of a large registry takes a while. */
const TIMEOUT_MS = 600_000
/** Characters of a path that the registry is told, at most. */
const PATH_MAX = 150
const NAME_MAX = 256
/** Lines that nobody reads. */
const LINES_MAX = 10_000

export default class BackupFollow extends CellCommand {
  static override readonly summary =
    'Keep a base of a running registry and, beside it, every change as it is made: at most a second is lost with the machine.'
  static override readonly description =
    `Takes a base, a live backup, into DIR, then archives the change log of the registry, a leader or a mirror; goes on where it was when either side
was stopped. Bases are taken anew now and then, and the oldest go, with the log before them. registry restore DIR TARGET restores all of it, or up
to an offset or a time. A log that is not the one of before, as that of a restored registry, gets a history of its own: nothing is mixed.
Ends in good order at SIGTERM and Ctrl-C. A real Synapse service cannot be followed: back it up with registry livebackup URL --stream DIR.`
  static override readonly exits = {
    5: 'another process follows into the directory, or it is of something else',
  }
  static override readonly args = {
    dir: pathArg({
      description: 'Directory that it is kept in: a new one, or one of the same cell.',
      required: true,
    }),
  }
  static override readonly examples = [
    {
      description: 'Follow the registry of this machine onto another disk.',
      command: '<%= config.bin %> <%= command.id %> /mnt/backups/registry',
    },
    {
      description: 'From another machine; a base every six hours, a week of them.',
      command:
        '<%= config.bin %> <%= command.id %> /srv/registry --url ssl://root@aha.example.net --base-every 6h --keep-bases 28',
    },
    {
      description: 'Bring it up to date and end.',
      command: '<%= config.bin %> <%= command.id %> /mnt/backups/registry --once --json',
    },
  ]
  static override readonly flags = {
    'base-every': durationFlag({
      summary: 'Take another base when the newest is so old.',
      default: DAY_MS,
    }),
    'keep-bases': Flags.integer({summary: 'Keep so many of the newest bases.', min: 1, max: 10_000, default: 2}),
    once: Flags.boolean({
      summary: 'End when everything is kept that there is now; anything that goes wrong ends it, too.',
      default: false,
    }),
    ...cellFlags,
  }

  async run(): Promise<void> {
    const {args, flags} = await this.parse(BackupFollow)
    const urls = await this.chooseUrls('cell', flags)
    const [{followBackup}, {fetchBackup}, {NO_PROGRESS}] = await Promise.all([
      import('../../client/follow-backup.ts'),
      import('../../client/live-backup.ts'),
      import('../../backup/progress.ts'),
    ])
    const lines = new Mailbox<FollowLine>(LINES_MAX)
    const limits = {
      timeoutMs: flags.timeout ?? TIMEOUT_MS,
      clock: systemClock,
      progress: NO_PROGRESS,
      how: 'base',
    } as const
    const done = followBackup({
      dir: args.dir,
      name: nameOf(args.dir),
      open: async () => (await this.openFirst(urls, flags)).cell,
      takeBase: (cell, path, signal) => fetchBackup(cell, path, {...limits, signal}),
      baseEveryMs: flags['base-every'],
      keepBases: flags['keep-bases'],
      isOnce: flags.once,
      signal: this.signal,
      clock: systemClock,
      onEvent: (event) => lines.push(new FollowLine(event, systemClock.wallMs())),
    }).finally(() => lines.end())
    done.catch(() => undefined) // it is awaited when the lines are over
    await this.stream(linesOf(lines, done), (line) => line.text())
    this.say(followEnd(await done))
  }
}

/** Names this archive for who looks at the registry. */
function nameOf(dir: string): string {
  const path = resolve(dir)
  const short = path.length <= PATH_MAX ? path : `…${path.slice(-PATH_MAX)}`
  return printable(`${hostname()}:${short}`).slice(0, NAME_MAX)
}

/** What happened, up to the end; then what is kept. */
async function* linesOf(
  lines: Mailbox<FollowLine>,
  done: Promise<FollowReport>,
): AsyncGenerator<FollowLine, FollowReport> {
  yield* lines.read(new AbortController().signal)
  return await done
}
