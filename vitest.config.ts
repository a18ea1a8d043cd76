import {defineConfig} from 'vitest/config'

const project = (name: string, include: string[], exclude: string[] = []) => ({
  extends: true as const,
  test: {name, include, exclude: ['**/node_modules/**', ...exclude]},
})

export default defineConfig({
  test: {
    disableConsoleIntercept: true,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    pool: 'forks',
    projects: [
      project('unit', ['test/**/*.test.ts'], ['test/{e2e,contract-of-cli,docs,fault,interop}/**']),
      project('e2e', ['test/{e2e,contract-of-cli,docs}/**/*.test.ts']),
      project('fault', ['test/fault/**/*.test.ts']),
      project('interop', ['test/interop/**/*.test.ts']),
    ],
  },
})
