// What hostile peers can make a server hold, on a small scale. The whole proof: npm run measure:hostile

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { assertNoLeaks } from './leaks.ts'
import { root } from './repo.ts'

after(() => assertNoLeaks())

const command = ['--conditions=silverback:source', '--import=tsx', join(root, 'scripts/measure-hostile.mjs')]
// Coverage would be measured, too.
const { NODE_V8_COVERAGE: _, ...env } = process.env

test('no attack makes a server grow beyond its bound, keep a connection, or turn a newcomer away', {
  timeout: 160_000,
}, async (t) => {
  const run = promisify(execFile)(process.execPath, [...command, '--scale', '0.01', '--one'], {
    cwd: root,
    env,
    timeout: 150_000,
    signal: t.signal,
  })
  const { stdout } = await run.catch((error) => assert.fail(`${error.message}\n${error.stdout}`))
  assert.equal(stdout.match(/\| ok, \d+ s \|$/gm)?.length, 17, stdout)
})

test('a server that dies, hangs, or holds too much, or keeps whom it should not, fails its row, and the other attacks go on', {
  timeout: 100_000,
}, async (t) => {
  const both = ['--scale', '0.01', '--only', "slow: '"]
  for (const [plant, failed, ...more] of [
    ['death', /FAILED: /g],
    ['hang', /FAILED: it took longer than 3 s \|$/gm, '--seconds', '3', '--only', "slow: 'skip'"],
    ['queue', /slow: 'queue' .* FAILED: \d+ bytes wait for one peer/g, '--only', "slow: 'queue'"],
    ['memory', /FAILED: it grew by \d+ MiB, more than \d+ MiB \|$/gm, '--only', 'empty fragments'],
    ['leak', /FAILED: it keeps connections/g, '--seconds', '8', '--only', 'never say anything'],
  ] as const) {
    const args = [...command, ...both, '--plant', plant, ...more]
    const { code, stdout } = await promisify(execFile)(process.execPath, args, {
      cwd: root,
      env,
      signal: t.signal,
    }).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { code: number; stdout: string }) => error,
    )
    assert.equal(code, 1, stdout)
    assert.equal(stdout.match(failed)?.length, plant === 'death' ? 3 : 1, stdout)
  }
})

test('the documented table has every attack, and none that failed', () => {
  const names = [
    ...readFileSync(join(root, 'scripts/measure-hostile.mjs'), 'utf8').matchAll(/^ {4}name: '(.*)',$/gm),
  ].map(([, name = '']) => name)
  assert.ok(names.length > 8)
  const page = readFileSync(join(root, 'docs/hostile.md'), 'utf8')
  for (const name of names) assert.ok(page.includes(`| ${name} |`), name)
  assert.doesNotMatch(page, /FAILED/)
})

test('options that are none', async () => {
  for (const args of [['--scale', 'much'], ['--only', 'no such attack'], ['--nonsense']]) {
    const { code, stderr } = await promisify(execFile)(process.execPath, [...command, ...args], {
      cwd: root,
      env,
    }).then(
      () => ({ code: 0, stderr: '' }),
      (error: { code: number; stderr: string }) => error,
    )
    assert.equal(code, 2)
    assert.match(stderr, /Usage: npm run measure:hostile/)
  }
})
