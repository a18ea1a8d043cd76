import {CertDir} from '../../src/pki/cert-dir.ts'
import {Mirroring, type MirroringPorts, type MirroringSettings} from '../../src/server/mirroring/mirroring.ts'

const SETTINGS: MirroringSettings = {
  mirror: [],
  names: {dnsName: undefined, ahaName: undefined, network: undefined},
  servers: [],
  lead: {confirmMs: 10_000, isAlone: false},
  isSafe: false,
}

/** A member of a cell without certificates, which leads unless the settings or its log say something else. */
export function openMirroring(
  ports: Pick<MirroringPorts, 'store' | 'changes' | 'head' | 'log' | 'clock'>,
  cellIden = 'c0ffee00c0ffee00c0ffee00c0ffee00',
  settings: Partial<MirroringSettings> = {},
): Promise<Mirroring> {
  const certs = new CertDir('/dev/null/certs')
  return Mirroring.open(
    {...ports, dir: '/nonexistent', certs, cellIden, run: 'f'.repeat(32), version: '1.2.3'},
    {...SETTINGS, ...settings},
  )
}
