/** Told how far long work is. What is told is cheap to hear: it comes with every piece. */
export interface Progress {
  /** Says what is done now, and of how many bytes; undefined where that is not known. */
  phase(name: string, totalBytes: number | undefined): void
  /** Says that so many bytes more of it are done. */
  add(bytes: number): void
  /** Somebody sees it. What it takes calls to know is asked for only then. */
  readonly isShown?: boolean
}

/** For work that nobody watches. */
export const NO_PROGRESS: Progress = {phase() {}, add() {}}
