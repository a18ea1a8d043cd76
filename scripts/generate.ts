// Writes what is derived from the sources and committed: the manifest of the commands and the reference pages. `--check` writes nothing and
// fails when one is stale.
import {readFileSync, writeFileSync} from 'node:fs'
import {commandsPage} from './pages/commands.ts'
import {configPage, configSchemaText} from './pages/config.ts'
import {errorsPage} from './pages/errors.ts'
import {manifestText} from './pages/manifest.ts'
import {openapiText} from './pages/openapi.ts'

const root = new URL('..', import.meta.url).pathname
const FILES: Readonly<Record<string, (root: string) => string | Promise<string>>> = {
  'oclif.manifest.json': manifestText,
  'docs/commands.md': commandsPage,
  'docs/config.md': configPage,
  'docs/config.schema.json': configSchemaText,
  'docs/errors.md': errorsPage,
  'docs/openapi.json': openapiText,
}

const isCheck = process.argv.includes('--check')
for (const [name, make] of Object.entries(FILES)) {
  const text = await make(root)
  if (text === readOrEmpty(name)) continue
  if (isCheck) {
    console.log(`${name} is stale: run npm run generate`)
    process.exitCode = 1
  } else {
    writeFileSync(`${root}${name}`, text)
    console.log(`wrote ${name}`)
  }
}

function readOrEmpty(name: string): string {
  try {
    return readFileSync(`${root}${name}`, 'utf8')
  } catch {
    return ''
  }
}
