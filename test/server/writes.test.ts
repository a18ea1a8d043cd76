/**
 * Calls every method of every listener with arguments that it can work with, and sees which propose a change: those that are marked in the table,
 * and no others. What is not marked would be refused at a mirror instead of passed on to the leader.
 */
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, describe, expect, test, vi} from 'vitest'
import type {ChangeLog} from '../../src/nexus/change-log.ts'
import {CertDir} from '../../src/pki/cert-dir.ts'
import {makeCsr} from '../../src/pki/csr.ts'
import {issueInto} from '../../src/pki/issuer.ts'
import {newPrivateKey} from '../../src/pki/keys.ts'
import {allMethods, TELEPATH_METHODS} from '../../src/server/methods.ts'
import type {Value} from '../../src/wire/msgpack/value.ts'
import {AHA_NETWORK} from '../support/aha.ts'
import {settle, TestApi, TestPeer} from '../support/api.ts'
import {TestCell} from '../support/cell.ts'
import {ACTOR, basic, TestHttps} from '../support/https.ts'
import {openPeerOf} from '../support/peer-server.ts'

const marked = (listener: string) =>
  allMethods()
    .filter((row) => row.listener === listener && row.isWrite)
    .map(({name}) => name)
    .sort()

/** Counts what is proposed, and lets it be. */
function counting(changes: ChangeLog): {proposed: number} {
  const count = {proposed: 0}
  const propose = changes.propose.bind(changes)
  vi.spyOn(changes, 'propose').mockImplementation((proposal) => {
    count.proposed += 1
    propose(proposal)
  })
  return count
}
