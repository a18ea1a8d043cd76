const FLOORS = [
  ['base'],
  ['registry', 'auth'],
  ['config', 'store', 'wire', 'pki'],
  ['nexus'],
  ['backup', 'provision'],
  ['cell', 'client'],
  ['server', 'cli'],
  ['commands'],
]
const PURE = ['registry', 'auth']
/** Files of pki that everybody may import at once (docs/decisions/0005-pkijs-for-certificates.md); the others are for commands, or loaded when needed. */
const WITHOUT_PKIJS =
  '(authority|cert-dir|cert-files|client-tls|crl-reader|dir-lock|identity|keys|peer-certificate|pem|revocation|sealed|server-tls|tls-policy|tls-reasons)\\.ts$'

const floorRules = FLOORS.flatMap((rooms, level) =>
  rooms.map((room) => ({
    name: `${room}-looks-down`,
    severity: 'error',
    from: {path: `^src/${room}/`},
    to: {path: '^src/', pathNot: `^src/(${[...FLOORS.slice(0, level).flat(), room].join('|')})/`},
  })),
)

export default {
  forbidden: [
    ...floorRules,
    {name: 'no-cycles', severity: 'error', from: {}, to: {circular: true}},
    {
      name: 'domain-is-pure',
      severity: 'error',
      from: {path: `^src/(${PURE.join('|')})/`},
      to: {dependencyTypes: ['core', 'npm']},
    },
    {
      // A drill makes the configuration and the environment of another process.
      name: 'only-serve-knows-config',
      severity: 'error',
      from: {path: '^src/server/', pathNot: '^src/server/(serve|running-registry|settings|aha-settings|admission|drill/(harmless|sandbox|scratch))\\.ts$'},
      to: {path: '^src/config/'},
    },
    {
      // Who imports it gets all that it gives, WebSocket and fetch among them: 4 MB in a server that may have no HTTPS at all. fastify asks for it itself.
      name: 'no-node-http',
      severity: 'error',
      from: {path: '^src/'},
      to: {path: '^(node:)?http$', dependencyTypesNot: ['type-only']},
    },
    {
      // To load pkijs takes 34 ms and 10 MB: what a server or a client starts with does without it.
      name: 'pkijs-comes-late',
      severity: 'error',
      from: {path: '^src/', pathNot: `^src/(cli/cert-|commands/cert/|pki/(?!${WITHOUT_PKIJS}))`},
      to: {path: `^src/pki/(?!${WITHOUT_PKIJS})`, dynamic: false, dependencyTypesNot: ['type-only']},
    },
    {
      name: 'pkijs-stays-in-pki',
      severity: 'error',
      from: {path: '^src/', pathNot: `^src/pki/(?!${WITHOUT_PKIJS})`},
      to: {path: 'node_modules/(pkijs|asn1js)/'},
    },
    {name: 'no-orphan-rooms', severity: 'error', from: {path: `^src/(?!index\\.ts$|${FLOORS.flat().join('/|')}/)`}, to: {}},
  ],
  options: {doNotFollow: {path: 'node_modules'}, tsPreCompilationDeps: true, tsConfig: {fileName: 'tsconfig.json'}},
}
