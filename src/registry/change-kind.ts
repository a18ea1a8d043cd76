/** All changes are written like that, whichever part they are of. */
const KIND = /^\{"v":\d+,"kind":"([a-z:]+)"/

/** Gives the kind of a change from its text in the log, without reading the rest; undefined when it is none. */
export function changeKind(change: string): string | undefined {
  return KIND.exec(change)?.[1]
}
