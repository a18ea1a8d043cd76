// Measures the registry beside what Node alone can run, and holds it against what it must reach: `npm run bench`. Takes a quarter of an hour.
import {measureBackup} from './backup.ts'
import {measureCodec} from './codec.ts'
import {measureCommits} from './commits.ts'
import {measureEvents} from './events.ts'
import {measureExpiry} from './expiry.ts'
import {measureFlood} from './flood.ts'
import {measureGrowth} from './growth.ts'
import {measureLiveBackup} from './live-backup.ts'
import {measureMemory} from './memory.ts'
import {measureMirror} from './mirror.ts'
import {runParts} from './parts.ts'
import {measureRequests} from './requests.ts'
import {measureStart} from './start.ts'
import {measureTelepath} from './telepath.ts'
import {measureTrim} from './trim.ts'

await runParts('bench/run.ts', {
  requests: measureRequests,
  commits: measureCommits,
  start: measureStart,
  memory: measureMemory,
  growth: measureGrowth,
  expiry: measureExpiry,
  events: measureEvents,
  flood: measureFlood,
  codec: measureCodec,
  telepath: measureTelepath,
  trim: measureTrim,
  mirror: measureMirror,
  backup: measureBackup,
  'live-backup': measureLiveBackup,
})
