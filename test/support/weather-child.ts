// Comes before a built server (`node --import`) and makes the weather that it runs in: connections to some ports are led to others, where a proxy is,
// and the clock of the wall stands beside that of the machine, by what a file says.
import {readFileSync} from 'node:fs'
import net from 'node:net'

const {TEST_PORTS: ports = '{}', TEST_CLOCK: clockFile} = process.env
const portOf = JSON.parse(ports) as Readonly<Record<string, number>>

type Connect = (this: net.Socket, ...args: unknown[]) => net.Socket
const connect = net.Socket.prototype.connect as Connect
const through: Connect = function (...args) {
  for (const given of args.flat()) {
    if (typeof given !== 'object' || given === null || !('port' in given)) continue
    given.port = portOf[String(given.port)] ?? given.port
  }
  return connect.apply(this, args)
}
net.Socket.prototype.connect = through as typeof net.Socket.prototype.connect

if (clockFile !== undefined) {
  const now = Date.now
  let besideMs = 0
  const look = (): void => {
    besideMs = Number(readFileSync(clockFile, 'utf8'))
  }
  look()
  setInterval(look, 20).unref()
  Date.now = () => now() + besideMs
}
