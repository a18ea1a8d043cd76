import {Flags} from '@oclif/core'

/** Flag of a command that reads a backup which may be encrypted. */
export const identityFlags = {
  identity: Flags.string({
    summary:
      'File with the identity that opens an encrypted archive, as age-keygen writes it. May be given several times.',
    helpValue: '<file>',
    multiple: true,
    multipleNonGreedy: true,
    default: [],
  }),
}

/** Reads the identities of all these files. */
export async function identitiesIn(files: readonly string[]): Promise<readonly string[]> {
  if (files.length === 0) return []
  const {readIdentities} = await import('../backup/age-keys.ts')
  return (await Promise.all(files.map(readIdentities))).flat()
}
