/** What a benchmark's server and its clients call things. */
export const NETWORK = 'loop.test'
export const HOST = `cell.${NETWORK}`
export const USER = `root@${NETWORK}`
export const METHOD = 'getCellIden'
