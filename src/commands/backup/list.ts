import {identitiesIn, identityFlags} from '../../cli/backup-flags.ts'
import {BaseCommand} from '../../cli/base-command.ts'
import {pathArg} from '../../cli/flags.ts'
import {shelfDir} from '../../cli/shelf-dir.ts'
import {type ShelfReport, shelfReport, shelfTable} from '../../cli/shelf-text.ts'

interface Listed {
  readonly dir: string
  readonly backups: readonly ShelfReport[]
}

export default class BackupList extends BaseCommand {
  static override readonly summary =
    'List the backups in a directory: of which cell and when, how large, and whether a drill proved them.'
  static override readonly description =
    `Directories and archives are listed, those in directories below as well, the oldest first. An archive may have any name. What was not finished, what cannot
be read and what is encrypted for somebody else is listed too. Only manifests are read: registry backup verify reads every byte.`
  static override readonly exits = {3: 'there is no such directory'}
  static override readonly args = {
    dir: pathArg({
      description: 'Directory with backups. Without it: the backup:dir of the data directory, else backups in that.',
    }),
  }
  static override readonly flags = identityFlags
  static override readonly examples = [
    {description: 'List the backups of this machine.', command: '<%= config.bin %> <%= command.id %>'},
    {
      description: 'List those of a directory, encrypted ones as well, for a script.',
      command: '<%= config.bin %> <%= command.id %> ./backups --identity key.txt --json',
    },
  ]

  async run(): Promise<Listed> {
    const {args, flags} = await this.parse(BackupList)
    const {readOwnShelf, readShelf} = await import('../../backup/shelf.ts')
    const dir = await shelfDir(args.dir)
    const read = args.dir === undefined ? readOwnShelf : readShelf
    const items = await read(dir, {identities: await identitiesIn(flags.identity), signal: this.signal})
    if (items.length === 0) this.say(`there are no backups in ${dir}`)
    else this.show(items, shelfTable)
    return {dir, backups: items.map(shelfReport)}
  }
}
