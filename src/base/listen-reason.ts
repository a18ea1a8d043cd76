import {messageOf, systemCode} from './errors.ts'

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is taken by another program',
  EADDRNOTAVAIL: 'the address is not one of this machine',
  ENODEV: 'the address is not one of this machine',
  ENOTFOUND: 'the address is not one of this machine',
  EACCES: 'this user may not open ports below 1024',
}

/** Says for people why a port could not be opened. */
export function listenReason(error: unknown): string {
  return REASONS[systemCode(error) ?? ''] ?? messageOf(error)
}
