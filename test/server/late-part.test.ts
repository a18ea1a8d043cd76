import {beforeEach, describe, expect, it, vi} from 'vitest'
import {RegistryError} from '../../src/base/errors.ts'
import {loadLate} from '../../src/server/late-part.ts'

const found = vi.hoisted((): {installed: string | null | undefined} => ({installed: undefined}))
vi.mock('../../src/base/package-root.ts', () => ({
  packageVersion: () => '1.2.3',
  replacement: () => found.installed,
}))

describe('loadLate', () => {
  const failure = new Error('Cannot find module')

  beforeEach(() => {
    found.installed = undefined
  })

  it('gives the part', async () => {
    expect(await loadLate(async () => 'part')).toBe('part')
  })

  it('lets a failure through while the software is the same', async () => {
    await expect(loadLate(() => Promise.reject(failure))).rejects.toBe(failure)
  })

  it.each([
    ['1.3.0', '1.3.0 is installed in its place'],
    [null, 'nothing is installed in its place'],
  ])('says that other software stands in its place: %s', async (installed, words) => {
    found.installed = installed
    const thrown = await loadLate(() => Promise.reject(failure)).catch((error: unknown) => error)
    expect(thrown).toBeInstanceOf(RegistryError)
    expect(thrown).toMatchObject({code: 'REG_INTERNAL', cause: failure, hints: ['start the server again']})
    expect(String(thrown)).toContain(`this server runs version 1.2.3 and ${words}`)
  })
})
