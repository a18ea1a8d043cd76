import type {ProofCheck} from '../../backup/proofs.ts'

type Facts = Readonly<Record<string, number | string>>
type Fact = number | string | boolean | null

/** Compares one fact. */
export function compare(what: string, expected: Fact, found: Fact): ProofCheck {
  return {what, expected: String(expected), found: String(found), isRight: expected === found}
}

/** Compares all facts that were expected; what is found besides counts as well, unless `isOpen`. */
export function compareFacts(where: string, expected: Facts, found: Facts, isOpen = false): readonly ProofCheck[] {
  const names = new Set([...Object.keys(expected), ...(isOpen ? [] : Object.keys(found))])
  return [...names].map((name) => compare(`${where}: ${name}`, expected[name] ?? null, found[name] ?? null))
}
