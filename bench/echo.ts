// The reference: a bare ROUTER of zeromq.js in a process of its own, as anybody would write it. It answers every message with the frames
// it came with, or with the JSON texts of the arguments (`echo.ts RESPONSE '{"success": true}'`).
// First line out: {"port"}. Each line in is answered by {"cpuUs", "rssBytes"} of the process. Ends when stdin does.
import {createInterface} from 'node:readline'
import {Router} from 'zeromq'

const answer = process.argv.slice(2)
const router = new Router()
await router.bind('tcp://127.0.0.1:0')
console.log(JSON.stringify({port: Number(router.lastEndpoint?.split(':').at(-1))}))
serveEcho().catch((error: unknown) => {
  if (!router.closed) throw error
})

for await (const _ of createInterface(process.stdin)) {
  const {user, system} = process.cpuUsage()
  console.log(JSON.stringify({cpuUs: user + system, rssBytes: process.memoryUsage.rss()}))
}
router.close()

async function serveEcho(): Promise<void> {
  if (answer.length === 0) for await (const message of router) await router.send(message)
  for await (const [routingId] of router) await router.send([routingId as Buffer, ...answer])
}
