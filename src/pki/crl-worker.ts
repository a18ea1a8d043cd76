// The thread of `CrlReader`: takes revocation lists in PEM form, one after the other, and answers each with a `CrlAnswer`.
import {X509Certificate} from 'node:crypto'
import {parentPort, workerData} from 'node:worker_threads'
import {messageOf} from '../base/errors.ts'
import {parseCrl} from './crl.ts'
import type {CrlAnswer, CrlReaderData} from './crl-reader.ts'

const {cas}: CrlReaderData = workerData
const keys = cas.map((raw) => new X509Certificate(raw).publicKey)

parentPort?.on('message', (pem: string) => parentPort?.postMessage(answerTo(pem)))

function answerTo(pem: string): CrlAnswer {
  try {
    const list = parseCrl(pem)
    return {signer: keys.findIndex((key) => list.isSignedBy(key)), serials: [...list.revoked.keys()]}
  } catch (error) {
    return {problem: messageOf(error)}
  }
}
