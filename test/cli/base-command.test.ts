import {expect, test, vi} from 'vitest'
import {BaseCommand} from '../../src/cli/base-command.ts'

class Works extends BaseCommand {
  async run(): Promise<{done: boolean}> {
    await this.parse(Works)
    using progress = this.workProgress()
    progress.phase('copying', undefined)
    return this.show({done: true}, () => 'all is copied')
  }
}

test('the line of progress is gone when the result is shown: both are on one terminal', async () => {
  const written: string[] = []
  using _out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  using _err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  const {isTTY} = process.stderr
  process.stderr.isTTY = true
  try {
    await Works.run([], import.meta.url)
  } finally {
    process.stderr.isTTY = isTTY
  }
  const [drawn, cleared, result] = written
  expect(drawn).toContain('copying')
  expect([cleared, result]).toEqual(['\r\u001b[K', 'all is copied\n'])
})
