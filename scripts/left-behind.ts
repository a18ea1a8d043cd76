// Finds the processes that a run of tests started and left: all that was started below it has its mark in the environment.
import {readdirSync, readFileSync} from 'node:fs'

export const MARK = 'INTEROP_RUN'

interface Left {
  readonly pid: number
  /** Its command line, and the home that tells which test made it. */
  readonly line: string
}

/** Processes but this one that have that mark. Elsewhere than on Linux there is no way to know. */
export function leftBehind(mark: string): readonly Left[] {
  const pids = listed('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const marked = pids.filter((pid) => content(`/proc/${pid}/environ`).split('\0').includes(`${MARK}=${mark}`))
  return marked.map((pid) => {
    const home = /(?:^|\0)HOME=([^\0]*)/.exec(content(`/proc/${pid}/environ`))?.[1] ?? ''
    return {pid: Number(pid), line: `${content(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()} (HOME=${home})`}
  })
}

function listed(dir: string): readonly string[] {
  try {
    return readdirSync(dir)
  } catch {
    return []
  }
}

/** Empty when it has ended meanwhile or is somebody else's. */
function content(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
