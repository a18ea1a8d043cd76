import {afterEach} from 'vitest'
import {logsOfPeers} from './synapse-process.ts'

/** Shows what the peers of a test wrote when it fails. To be called at the top of a file of tests. */
export function showLogsWhenFailed(): void {
  afterEach(({task}) => {
    if (task.result?.state === 'fail') {
      for (const [name, log] of logsOfPeers) console.error(`--- ${name}\n${log()}`)
    }
  })
}
