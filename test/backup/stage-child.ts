// Writes a backup that is staged, again and again, and says each step: whoever kills it looks what is left.
import assert from 'node:assert/strict'
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {stageBackup} from '../../src/backup/stage.ts'
import {stagedManifest} from '../support/staged-backup.ts'

const [parent = assert.fail(), steps = assert.fail()] = process.argv.slice(2)
for (let count = 0; count < Number(steps); count++) {
  await using staging = await stageBackup(join(parent, `b${count}`))
  console.log('staged')
  await writeFile(join(staging.dir, 'file'), `content ${count}`)
  await staging.commit(stagedManifest(`b${count}`, `content ${count}`))
  console.log('committed')
}
process.stdin.resume()
await using _open = await stageBackup(join(parent, 'last'))
console.log('waiting')
await new Promise((resolve) => process.stdin.once('end', resolve))
