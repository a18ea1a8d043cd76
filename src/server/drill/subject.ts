import type {Manifest} from '../../backup/manifest.ts'
import type {ProofCheck} from '../../backup/proofs.ts'
import type {Callable} from '../../wire/telepath/caller.ts'

/** What is drilled: a backup that lies as the directory of a cell. */
export interface DrillSubject {
  readonly dir: string
  readonly iden: string
  /** Of a Synapse service, where it is known. */
  readonly type: string | null
  /** Undefined for a backup without. */
  readonly manifest: Manifest | undefined
  readonly signal: AbortSignal
}

/** What the files say, and how the service is started and asked. */
export interface PreparedDrill {
  readonly checks: readonly ProofCheck[]
  readonly command: readonly string[]
  readonly variables: Readonly<Record<string, string>>
  /** Why nobody can ask the service: it is not started then. */
  readonly unasked?: string | undefined
  /** Compares what the service says with what the files said. Throws what the calls throw. */
  ask(cell: Callable): Promise<readonly ProofCheck[]>
}
