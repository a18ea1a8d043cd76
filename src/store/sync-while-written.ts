import {type FileHandle, open} from 'node:fs/promises'
import {setTimeout} from 'node:timers/promises'

/** The disk writes so much in some milliseconds, and who waits for it meanwhile waits no longer. */
const PORTION_BYTES = 4 * 1024 * 1024
const LOOK_EVERY_MS = 2

/**
 * Brings the file at `path` to the disk in portions while `write` is under way, which does not wait for the disk itself. When the promise resolves,
 * all of it survives a crash. Otherwise all of it would go there at once in the end, and every commit of others would wait for that.
 */
export async function syncWhileWritten<T>(path: string, write: () => Promise<T>): Promise<T> {
  // Opened before anything is written: a fault of the disk is told to those who had the file open.
  await using file = await open(path, 'r+')
  const ended = new AbortController()
  const writing = write().finally(() => ended.abort())
  const [written, synced] = await Promise.allSettled([writing, syncInPortions(file, ended.signal)])
  if (written.status === 'rejected') throw written.reason
  if (synced.status === 'rejected') throw synced.reason
  await file.datasync()
  return written.value
}

async function syncInPortions(file: FileHandle, ended: AbortSignal): Promise<void> {
  for (let synced = 0; !ended.aborted; ) {
    const {size} = await file.stat()
    if (size - synced < PORTION_BYTES) await setTimeout(LOOK_EVERY_MS, undefined, {signal: ended}).catch(() => {})
    else {
      await file.datasync()
      synced = size
    }
  }
}
