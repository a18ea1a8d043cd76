import {lstat, mkdtemp, readFile, rm, symlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {addConfigItems, updateConfigFile} from '../../src/config/update-file.ts'

async function linked(): Promise<{file: string; target: string}> {
  const dir = await mkdtemp(join(tmpdir(), 'registry-update-file-'))
  onTestFinished(() => rm(dir, {recursive: true, force: true}))
  const [file, target] = [join(dir, 'telepath.yaml'), join(dir, 'kept-elsewhere.yaml')]
  await writeFile(target, '# mine\nversion: 1\n', {mode: 0o640})
  await symlink(target, file)
  return {file, target}
}

test('a file that is a link is changed where it is, and the link stays', async () => {
  const {file, target} = await linked()
  await addConfigItems(file, 'aha:servers', ['ssl://aha.demo.net'], {version: 1})
  await updateConfigFile(file, {more: 1})
  expect((await lstat(file)).isSymbolicLink()).toBe(true)
  expect(await readFile(target, 'utf8')).toBe('# mine\nversion: 1\naha:servers:\n- ssl://aha.demo.net\nmore: 1\n')
  expect((await lstat(target)).mode & 0o777).toBe(0o640)
})
