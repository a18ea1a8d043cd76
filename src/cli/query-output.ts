import type {Progress} from './base-command.ts'

/** What a query needs of the command that it is part of. */
export interface QueryOutput {
  /** Aborts when the command is cancelled. */
  readonly signal: AbortSignal
  /** As `BaseCommand.stream`. */
  stream<T, E extends object | undefined>(
    items: AsyncGenerator<T, E>,
    render: (item: T) => string | undefined,
  ): Promise<void>
  /** As `BaseCommand.show`. */
  show<T>(data: T, render: (data: T) => string): T
  /** As `BaseCommand.write`. */
  write(chunk: string | Uint8Array): Promise<void>
  /** As `BaseCommand.say`. */
  say(text: string): void
  /** As `BaseCommand.progress`. */
  progress(text: string): Promise<Progress>
}
