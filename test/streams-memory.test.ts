// Streams take constant memory, and bombs none to speak of. The whole proof: npm run measure:streams -- --size 1GiB

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { assertNoLeaks } from './leaks.ts'
import { root } from './repo.ts'

after(() => assertNoLeaks())

test('256 MiB there and back, and bombs: no process grows by more than 128 MiB, or 160 from Node 24 on', {
  timeout: 110_000,
}, async (t) => {
  const args = ['--conditions=silverback:source', '--import=tsx', join(root, 'scripts/measure-streams.mjs')]
  // Coverage would be measured, too.
  const { NODE_V8_COVERAGE: _, ...env } = process.env
  const run = promisify(execFile)(process.execPath, args, {
    cwd: root,
    env,
    timeout: 100_000,
    signal: t.signal,
  })
  const { stdout } = await run.catch((error) => assert.fail(`${error.message}\n${error.stdout}`))
  for (const line of stdout.trimEnd().split('\n')) t.diagnostic(line)
  assert.equal(stdout.match(/there and back/g)?.length, 3)
  assert.equal(stdout.match(/refused with 1009 whole, 1009 as a stream/g)?.length, 6)
  assert.equal(stdout.match(/peak/g)?.length, 7)
})
