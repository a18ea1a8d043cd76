// Finds the commands that texts tell people to type.
import {readFileSync} from 'node:fs'
import {readRequest} from '../../src/cli/words.ts'

const root = new URL('../../', import.meta.url).pathname
const {commands}: {commands: Record<string, {hidden?: boolean}>} = JSON.parse(
  readFileSync(`${root}oclif.manifest.json`, 'utf8'),
)
const ids = Object.keys(commands)
const names = {
  commands: ids.map((id) => ({id})),
  topics: [...new Set(ids.filter((id) => id.includes(':')).map((id) => ({name: id.split(':')[0] ?? id})))],
}

/** Gives the lines that start with `registry` in code blocks and code spans. */
export function mentionedCommands(markdown: string): string[] {
  const blocks = [...markdown.matchAll(/^```\w*\n(.*?)^```/gms)].flatMap(([, body]) => (body ?? '').split('\n'))
  const indented = markdown.split('\n').filter((line) => line.startsWith('    '))
  const spans = [...markdown.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code ?? '')
  return [...blocks, ...indented, ...spans]
    .map((line) => line.trim().replace(/^(\$ |bin\/|npx -- )/, ''))
    .filter((line) => /^registry( (?! )|$)/.test(line))
}

/** Gives those lines that this version does not understand. Words in capitals and angle brackets stand for something else. */
export function unknownCommands(lines: readonly string[]): string[] {
  return lines.filter((line) => {
    const words = line
      .replace(/\s+#.*$/, '')
      .split(' ')
      .slice(1)
      .filter((word) => word !== '…')
    const typed = words.slice(0, words.findIndex((word) => /^[<[A-Z|>&]/.test(word)) >>> 0)
    if (typed.length === 0 || typed[0] === 'help' || typed[0] === '--version') return false
    return readRequest(typed, names).kind === 'unknown'
  })
}
