#!/usr/bin/env node
// Runs the sources without a build; Node strips the types itself.
import {fileURLToPath} from 'node:url'
import {main} from '../src/cli/main.ts'

await main(process.argv.slice(2), {root: fileURLToPath(new URL('..', import.meta.url)), fromSource: true})
