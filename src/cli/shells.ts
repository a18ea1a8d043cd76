import type {Candidate} from './complete.ts'

/** The shells that can be served. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/**
 * What a shell has to evaluate once per session. Each asks `registry complete` at every press of the key, so that commands, flags and the
 * names of live services are always those of the moment. When nothing is offered, files are.
 */
export const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `_registry_complete() {
  local program=\${COMP_WORDS[0]/#\\~/$HOME} line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("$line")
  done < <("$program" complete bash -- "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -o bashdefault -o default -F _registry_complete registry
`,
  zsh: `_registry() {
  local -a candidates
  local program=\${~words[1]}
  candidates=("\${(@f)$("$program" complete zsh -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if (( \${#candidates[1]} )); then
    _describe -t registry registry candidates
  else
    _files
  fi
}
compdef _registry registry
`,
  fish: `function __registry_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l program $words[1]
  set -e words[1]
  set -l found ($program complete fish -- $words "$current" 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\\n' $found
  else
    __fish_complete_path "$current"
  end
end
complete -c registry -f -a '(__registry_complete)'
`,
}

/** How each shell is told to evaluate its script at every start. */
export const INSTALL: Readonly<Record<Shell, string>> = {
  bash: `echo 'eval "$(registry autocomplete bash)"' >> ~/.bashrc`,
  zsh: `echo 'eval "$(registry autocomplete zsh)"' >> ~/.zshrc   # after compinit`,
  fish: 'registry autocomplete fish > ~/.config/fish/completions/registry.fish',
}

/** What stands before the cursor: the finished words behind the program's name, and the one being typed. */
export interface TypedLine {
  readonly words: readonly string[]
  readonly current: string
}

/** Reads what the script of a shell hands over: bash the text of the line, the others one argument per word. */
export function readTyped(shell: Shell, given: readonly string[]): TypedLine {
  const all = shell === 'bash' ? splitLine(given.join(' ')).slice(1) : given.map((word) => splitLine(word)[0] ?? '')
  return {words: all.slice(0, -1), current: all.at(-1) ?? ''}
}

/** Writes one candidate the way the script of a shell reads it. */
export function candidateLine(shell: Shell, {value, about}: Candidate, current: string): string {
  const hint = about.replaceAll(/\s+/g, ' ')
  switch (shell) {
    case 'bash':
      return value.slice(brokenOff(current)).replaceAll(/[^\w./:=@%+,-]/g, '\\$&')
    case 'zsh':
      return `${value.replaceAll(/[\\:]/g, '\\$&')}${hint === '' ? '' : `:${hint}`}`
    case 'fish':
      return hint === '' ? value : `${value}\t${hint}`
  }
}

/** Bash puts a candidate in place of what follows the last of these characters (COMP_WORDBREAKS), not of the whole word. */
function brokenOff(current: string): number {
  return Math.max(...[':', '=', '@'].map((character) => current.lastIndexOf(character))) + 1
}

/** Splits a line into words as a shell does, without expanding anything; the last word is empty when the line ends in a space. */
function splitLine(line: string): string[] {
  const words: string[] = []
  let word = ''
  for (const [token, escaped, double, single, space] of line.matchAll(
    /\\(.?)|"((?:\\.|[^"\\])*)"?|'([^']*)'?|(\s+)|[^\s"'\\]+/gs,
  )) {
    if (space !== undefined) {
      if (word !== '' || words.length > 0) words.push(word)
      word = ''
    } else word += escaped ?? double?.replaceAll(/\\(["\\$`])/g, '$1') ?? single ?? token
  }
  return [...words, word]
}
