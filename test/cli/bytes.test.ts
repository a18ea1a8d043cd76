import {expect, test} from 'vitest'
import {formatBytes} from '../../src/cli/bytes.ts'

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1536, '1.5 KiB'],
  [1024 ** 2 - 1, '1 MiB'],
  [123 * 1024 ** 2, '123 MiB'],
  [5.25 * 1024 ** 4, '5.3 TiB'],
  [5000 * 1024 ** 4, '5000 TiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})
