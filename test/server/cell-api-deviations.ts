const SAYS_MORE = 'says more than the peer'
const ADVICE = 'names the permissions that methods ask for, for people who write rules; the peer has an empty list'
const SCHEMA = 'the words of a JSON schema say which index is wrong; ours say what'
const NO_ORACLE = 'does not tell who may not know whether the name exists'

/** Where our cell answers otherwise than the recorded one on purpose: the row, and why. */
export const DEVIATIONS: readonly {readonly row: string; readonly why: string}[] = [
  {row: 'visi getCellInfo [] {}', why: 'version and features are our own: announced is only what is there'},
  {row: 'root getSystemInfo [] {}', why: SAYS_MORE},
  {row: 'root getPermDefs [] {}', why: ADVICE},
  {row: 'visi getPermDefs [] {}', why: ADVICE},
  {row: 'root getHealthCheck [] {}', why: 'tells of store, disk and read-only state, where the peer has no components'},
  {row: 'visi getRoleInfo ["newp"] {}', why: NO_ORACLE},
  {row: 'root addUserRule ["$bob","newp"] {}', why: SCHEMA},
  {row: 'root addUserRule ["$bob",[true,[]]] {}', why: SCHEMA},
  {row: 'root addUserRule ["$bob",[true,[""]]] {}', why: SCHEMA},
  {row: 'root addAuthRule ["newp",[true,["old"]]] {}', why: 'the peer fails with an AttributeError of Python'},
  {row: 'root delUserApiKey ["newp"] {}', why: 'the peer fails to read it as hex; ours does not find it'},
]
