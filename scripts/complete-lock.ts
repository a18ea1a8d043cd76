// Adds to package-lock.json what `npm install` leaves out when the registry it talks to has not got the packages for other platforms:
// `npm ci` refuses a lock file in which an optional dependency is not even named. Run it after each `npm install`; --check only looks.
import {readFileSync, writeFileSync} from 'node:fs'

interface LockedPackage {
  readonly version?: string
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
  readonly os?: readonly string[]
  readonly optional?: boolean
  readonly dev?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

interface Lock {
  packages: Record<string, LockedPackage>
}

const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32']
const PROCESSORS = ['arm64', 'arm', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64']

const file = new URL('../package-lock.json', import.meta.url).pathname
const lock = JSON.parse(readFileSync(file, 'utf8')) as Lock
const missing = Object.entries(lock.packages).flatMap(([place, {optionalDependencies = {}, dev = false}]) =>
  Object.entries(optionalDependencies)
    .filter(([name]) => !isLocked(place, name))
    .map(([name, version]) => ({name, entry: entryOf(name, version, dev)})),
)

if (missing.length === 0) {
  console.log('package-lock.json names every optional dependency')
} else if (process.argv.includes('--check')) {
  console.log(
    `package-lock.json does not name ${missing.map(({name}) => name).join(', ')}: run node scripts/complete-lock.ts`,
  )
  process.exitCode = 1
} else {
  for (const {name, entry} of missing) lock.packages[`node_modules/${name}`] = entry
  const sorted = Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1))
  writeFileSync(file, `${JSON.stringify({...lock, packages: Object.fromEntries(sorted)}, null, 2)}\n`)
  console.log(`package-lock.json: added ${missing.length} optional dependencies`)
}

/** Whether a package that stands at `place` would find `name`, as Node looks for it. */
function isLocked(place: string, name: string): boolean {
  for (let at = place; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    if (`${at === '' ? '' : `${at}/`}node_modules/${name}` in lock.packages) return true
    if (at === '') return false
  }
}

/** What can be said of a package that was not seen: its name says where it belongs, so npm skips it everywhere else. */
function entryOf(name: string, version: string, dev: boolean): LockedPackage {
  const words = name.split(/[/-]/)
  const os = SYSTEMS.filter((system) => words.includes(system))
  const cpu = PROCESSORS.filter((processor) => words.includes(processor))
  if (!/^\d/.test(version) || os.length + cpu.length === 0)
    throw new Error(`cannot make an entry of ${name}@${version}`)
  const where = {
    ...(cpu.length > 0 ? {cpu} : {}),
    ...(dev ? {dev} : {}),
    optional: true,
    ...(os.length > 0 ? {os} : {}),
  }
  return {version, ...where}
}
