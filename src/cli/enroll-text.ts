import type {Enrolled} from '../client/enroll/enroll.ts'
import {launcherName} from '../config/environment.ts'
import {keyValues} from './render.ts'

/** Says what an enrollment has written, and what can be typed from now on. */
export function enrolledText({user, network, files, config, ahaServers, added}: Enrolled): string {
  const registry = launcherName()
  const [first] = ahaServers
  const facts = keyValues([
    ['user', user],
    ...files.map((path) => ['saved', path] as const),
    ...added.map((url) => ['AHA server', `${url} (added to ${config})`] as const),
    ['AHA server', added.length === 0 && first !== undefined ? `${first} (in ${config} before)` : undefined],
  ])
  const next =
    first === undefined
      ? [`The AHA named no server: add its URL to aha:servers in ${config}.`]
      : [
          'Next:',
          `  ${registry} status '${first}'`,
          `  ${registry} query '${first}' --call getAhaSvcs ${network}`,
          `  ${registry} query aha://NAME... --call getCellInfo`,
        ]
  return [facts, ...next].join('\n')
}
