import {Flags} from '@oclif/core'
import type {Purpose} from '../pki/certificate-facts.ts'
import {KEY_TYPES, type KeyType} from '../pki/keys.ts'
import {durationFlag} from './flags.ts'

/** What a command about certificates works on. */
export const certDirFlags = {
  certdir: Flags.string({
    summary: 'Certificate directory. Without it: SYN_CERT_DIR, else ~/.syn/certs.',
    helpValue: '<directory>',
    helpGroup: 'DIRECTORY',
    exclusive: ['dir'],
  }),
  dir: Flags.string({
    summary: 'Directory of a cell, whose certificates to work on.',
    helpValue: '<directory>',
    helpGroup: 'DIRECTORY',
  }),
}

const KINDS: readonly Purpose[] = ['ca', 'host', 'user', 'code']

/** A kind of certificate. */
export const kindFlag = Flags.custom<Purpose>({
  options: [...KINDS],
  parse: async (input) => KINDS.find((kind) => kind === input) ?? 'user',
})

/** A kind of key. */
export const keyFlag = Flags.custom<KeyType>({
  options: [...KEY_TYPES],
  parse: async (input) => KEY_TYPES.find((type) => type === input) ?? 'rsa2048',
})

export const signasFlag = Flags.string({
  summary: 'Authority that signs. Without it: the only one here that has its key.',
  helpValue: '<ca>',
})

/** How long a certificate lives. */
export const termFlags = {
  ttl: durationFlag({summary: 'How long it is valid; 3650d unless given.'}),
  backdate: durationFlag({
    summary: 'Begin so much before now, for those whose clock is behind; 0s unless given, as the peers have it.',
  }),
}

export const forceFlag = Flags.boolean({summary: 'Replace what is there; it stays beside as .bak.', default: false})

export const sansFlag = Flags.string({
  summary: 'More names of the host: DNS:NAME,email:ADDRESS,URI:URI,IP:ADDRESS.',
  helpValue: '<names>',
})

/** Flags of the commands that make a key and a certificate. */
export const issueFlags = {
  signas: signasFlag,
  key: keyFlag({summary: 'Kind of key; rsa2048 unless given. Stock Synapse loads RSA keys only.'}),
  ...termFlags,
  force: forceFlag,
  ...certDirFlags,
}

/** Where the passphrase of a PKCS#12 file comes from. It is never an argument: those are seen by all users of the machine. */
export const passphraseFlags = {
  'passphrase-file': Flags.string({
    summary: 'Take the passphrase from this file; a newline at its end does not count.',
    helpValue: '<file>',
    exclusive: ['passphrase-stdin'],
  }),
  'passphrase-stdin': Flags.boolean({
    summary: 'Take the passphrase from the standard input.',
    exclusive: ['passphrase-file'],
  }),
}
