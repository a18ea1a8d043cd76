/** What the exit statuses mean for every command; the pages and a test read it. */
export const EXIT_STATUSES: Readonly<Record<number, string>> = {
  0: 'ok',
  1: 'failed',
  2: 'wrong usage or configuration',
  3: 'not found',
  4: 'refused',
  5: 'conflict, or the wrong state for it',
  6: 'nothing answers at the address',
  7: 'timed out',
  8: 'the check says no',
  130: 'cancelled',
}
