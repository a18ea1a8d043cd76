import {glob, readFile} from 'node:fs/promises'
import {describe, expect, test} from 'vitest'
import {EXIT_STATUSES} from '../../scripts/pages/exit-statuses.ts'
import {ERRORS, type ErrorSpec} from '../../src/base/errors.ts'

interface Item {
  readonly name: string
  readonly type?: 'boolean' | 'option'
  readonly char?: string
  readonly hidden?: boolean
  readonly required?: boolean
  readonly multiple?: boolean
  readonly allowNo?: boolean
  readonly options?: readonly string[]
  readonly helpValue?: string
  readonly default?: unknown
}

interface Command {
  readonly args: Readonly<Record<string, Item>>
  readonly flags: Readonly<Record<string, Item>>
  readonly aliases: readonly string[]
  readonly hidden?: boolean
  readonly strict?: boolean
}

const manifest: {commands: Readonly<Record<string, Command>>} = JSON.parse(
  await readFile(new URL('../../oclif.manifest.json', import.meta.url), 'utf8'),
)

// Scripts depend on these. A difference here is a line in the changelog; what is renamed stays as an alias.
describe('the interface of the command line', () => {
  test('has the commands, arguments and flags that are written down', async () => {
    const lines = Object.entries(manifest.commands).flatMap(([id, command]) => [
      `${id.replaceAll(':', ' ')}${command.hidden ? ' (hidden)' : ''}${command.strict === false ? ' …' : ''}`,
      ...command.aliases.map((alias) => `  also ${alias}`),
      ...Object.values(command.args).map((arg) => `  ${describeArg(arg)}`),
      ...Object.values(command.flags).map((flag) => `  ${describeFlag(flag)}`),
    ])
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('./commands.txt')
  })

  test('has the error codes and exit statuses that are written down', async () => {
    const rows = Object.entries(ERRORS) as readonly (readonly [string, ErrorSpec])[]
    const lines = rows.map(([code, {exit}]) => `${code} ${exit}`)
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('./errors.txt')
  })

  test('has a meaning for each exit status', () => {
    for (const {exit} of Object.values(ERRORS)) expect(EXIT_STATUSES).toHaveProperty(String(exit))
  })

  // Else `--identity key.txt BACKUP` takes the backup for another key. The manifest does not tell.
  test('has no flag that swallows the arguments behind it', async () => {
    const src = new URL('../../src/', import.meta.url).pathname
    for await (const file of glob(['commands/**/*.ts', 'cli/*.ts'], {cwd: src})) {
      const text = await readFile(`${src}${file}`, 'utf8')
      const greedy = text.match(/^ +multiple: true,\n(?! +multipleNonGreedy: true,)/gm)
      expect(greedy, file).toBeNull()
    }
  })

  test('shows the default of a duration as one would type it', () => {
    const shown = Object.values(manifest.commands)
      .flatMap(({flags}) => Object.values(flags))
      .filter((flag) => flag.helpValue === '<duration>' && flag.default !== undefined)
      .map((flag) => flag.default)
    expect(shown).toContain('2m')
    for (const text of shown) expect(text).toMatch(/^\d+(ms|s|m|h|d)$/)
  })

  test.each(Object.keys(manifest.commands).filter((id) => id !== 'service:run'))('has --json in %s', (id) => {
    expect(manifest.commands[id]?.flags).toHaveProperty('json')
  })
})

function describeArg({name, required, options}: Item): string {
  return `${required ? name.toUpperCase() : `[${name.toUpperCase()}]`}${options ? ` = ${options.join('|')}` : ''}`
}

function describeFlag({name, type, char, hidden, required, multiple, allowNo, options}: Item): string {
  const value = type === 'boolean' ? '' : ` ${options ? options.join('|') : 'VALUE'}`
  const notes = [required && 'required', multiple && 'repeatable', hidden && 'hidden'].filter(Boolean)
  return `--${allowNo ? '[no-]' : ''}${name}${char ? `|-${char}` : ''}${value}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`
}
