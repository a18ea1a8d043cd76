import {connect} from 'node:net'
import {join} from 'node:path'
import {readTelepathYaml} from '../client/telepath/syn-files.ts'
import type {Urls} from '../client/telepath/telepath-client.ts'
import type {Environment} from '../config/environment.ts'

/** Tells whether a cell, ours or a Synapse one, listens on the socket of the directory; a dead one may have left it there. */
export function hasSocket(dir: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(join(dir, 'sock'))
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Gives the first AHA of telepath.yaml: its URL, or those of it and of its mirrors; undefined when there is none. `say` hears why the file is ignored. */
export async function firstAha({synDir}: Environment, say: (text: string) => void): Promise<Urls | undefined> {
  return (await readTelepathYaml(join(synDir, 'telepath.yaml'), say)).ahaServers[0]
}
