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
      name: 'only-serve-knows-config',
      severity: 'error',
      from: {path: '^src/server/', pathNot: '^src/server/(serve|settings|aha-settings)\\.ts$'},
      to: {path: '^src/config/'},
    },
    {name: 'no-orphan-rooms', severity: 'error', from: {path: `^src/(?!index\\.ts$|${FLOORS.flat().join('/|')}/)`}, to: {}},
  ],
  options: {doNotFollow: {path: 'node_modules'}, tsPreCompilationDeps: true, tsConfig: {fileName: 'tsconfig.json'}},
}
