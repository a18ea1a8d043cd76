/** The file that makes a directory one that `registry backup follow` keeps: whose log it is. */
export const FOLLOW_FILE = 'follow.json'
