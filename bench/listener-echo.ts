// The listener with nothing above it, in a process of its own: what the wire itself costs beside `echo.ts`, with the same arguments and lines.
import {createInterface} from 'node:readline'
import {listen} from '../src/wire/zeromq/router-listener.ts'

const answer = process.argv.slice(2)
await using listener = await listen({
  address: 'tcp://127.0.0.1:0',
  limits: {messageBytes: 1 << 20, messagesPerS: 1e6, hwm: 10_000, handshakeMs: 2000, connections: 10_000},
  onMessage: (from, frames) => from.send(answer.length > 0 ? answer : frames),
  onRefused: () => {},
  onFailed: (error) => {
    throw error
  },
})
console.log(JSON.stringify({port: listener.port}))
for await (const _ of createInterface(process.stdin)) {
  const {user, system} = process.cpuUsage()
  console.log(JSON.stringify({cpuUs: user + system, rssBytes: process.memoryUsage.rss()}))
}
