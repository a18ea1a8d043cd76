import fs from 'node:fs/promises'
import {syncBuiltinESMExports} from 'node:module'

/** As on a file system without links, such as exFAT: until it is disposed, the system refuses every one that this process makes. */
export function withoutLinks(code = 'EPERM'): Disposable {
  const {link, symlink} = fs
  const refuse = () => Promise.reject(Object.assign(new Error(`${code}: operation not permitted, link`), {code}))
  Object.assign(fs, {link: refuse, symlink: refuse})
  syncBuiltinESMExports()
  return {
    [Symbol.dispose]() {
      Object.assign(fs, {link, symlink})
      syncBuiltinESMExports()
    },
  }
}
