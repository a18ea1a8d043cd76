import {statfs} from 'node:fs/promises'
import {dirname, resolve} from 'node:path'
import {RegistryError, systemCode} from '../base/errors.ts'
import {writeFault} from './file-faults.ts'

export interface RoomWish {
  /** Where it is to be written; need not be there yet. */
  readonly path: string
  readonly bytes: number
  /** Percent of the volume that have to stay free afterwards. */
  readonly minFreePercent: number
}

const HINTS = ['free space on that file system', 'give a place on another one']

/**
 * Makes sure that something can be written without filling a volume.
 *
 * @throws RegistryError `REG_DISK_LOW`, saying how much is free and how much is needed
 */
export async function assertRoom({path, bytes, minFreePercent}: RoomWish): Promise<void> {
  const {blocks, bavail, bsize} = await volumeOf(resolve(path))
  const free = bavail * bsize
  const kept = Math.ceil((blocks * bsize * minFreePercent) / 100)
  if (free >= bytes + kept) return
  const rest = kept === 0 ? '' : `, and ${inUnits(kept)} of it have to stay free`
  throw new RegistryError(
    'REG_DISK_LOW',
    `too little room for ${path}: ${inUnits(bytes)} are needed and ${inUnits(free)} are free${rest}`,
    {
      info: {path, neededBytes: bytes, freeBytes: free, keptBytes: kept},
      hints: HINTS,
    },
  )
}

/**
 * Gives how many bytes may be written on a volume, where it shows only on the way how many they are.
 *
 * @throws RegistryError `REG_DISK_LOW` when there are none
 */
export async function roomAt(path: string, minFreePercent: number): Promise<number> {
  await assertRoom({path, bytes: 1, minFreePercent})
  const {blocks, bavail, bsize} = await volumeOf(resolve(path))
  return bavail * bsize - Math.ceil((blocks * bsize * minFreePercent) / 100)
}

/** Gives how many bytes are free on the volume of a directory. @throws RegistryError `REG_DIR_UNUSABLE` */
export async function freeBytesAt(path: string): Promise<number> {
  const {bavail, bsize} = await volumeOf(resolve(path))
  return bavail * bsize
}

/** For something of which it shows only on the way how large it is: more than the bytes that were free, and had not to stay so. */
export function tooLittleRoom(path: string, freeBytes: number, minFreePercent = 0): RegistryError {
  const rest = minFreePercent === 0 ? '' : ` beside the ${minFreePercent} % that have to stay free`
  return new RegistryError(
    'REG_DISK_LOW',
    `too little room for ${path}: more than the ${inUnits(freeBytes)} that are free${rest} are needed`,
    {
      info: {path, freeBytes},
      hints: HINTS,
    },
  )
}

async function volumeOf(path: string): Promise<{blocks: number; bavail: number; bsize: number}> {
  try {
    return await statfs(path)
  } catch (error) {
    const above = dirname(path)
    if (systemCode(error) !== 'ENOENT' || above === path) throw writeFault(error, path)
    return await volumeOf(above)
  }
}

function inUnits(bytes: number): string {
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} KiB`
  return `${(bytes / 1024 / 1024).toFixed(bytes < 10 * 1024 * 1024 ? 1 : 0)} MiB`
}
