import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { assertNoLeaks } from './leaks.ts'

after(() => assertNoLeaks())

interface Run {
  readonly code: number | string | null | undefined
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command as `npm run fuzz -- ...` does. */
function fuzz(...args: readonly string[]): Promise<Run> {
  const command = [
    '--conditions=silverback:source',
    '--import',
    'tsx',
    join(import.meta.dirname, 'fuzz.ts'),
    ...args,
  ]
  return new Promise((resolve) => {
    execFile(process.execPath, command, { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr })
    })
  })
}

/** The outcomes and how often each came, without the times. */
function histogram(stdout: string): string[] {
  return stdout.split('\n').filter((line) => /^ *\d+ {2}\S/.test(line))
}

test('a short run finds nothing, and the same seed gives the same run', async () => {
  const [once, again, other] = await Promise.all([
    fuzz('--streams', '8000', '--seed', '11'),
    fuzz('--streams', '8000', '--seed', '11'),
    fuzz('--streams', '8000'),
  ])
  for (const { code, stdout, stderr } of [once, again, other]) {
    assert.equal(code, 0, stdout + stderr)
    assert.match(stdout, /^8000 streams in [\d.]+ s, \d+ a second, seed \d+$/m)
    assert.match(stdout, /^memory grew by [\d.]+ MiB at most/m)
  }
  assert.ok(histogram(once.stdout).length > 30)
  assert.deepEqual(histogram(again.stdout), histogram(once.stdout))
})

test('the time limit ends a run', async () => {
  const { code, stdout } = await fuzz('--seconds', '1')
  assert.equal(code, 0, stdout)
  assert.match(stdout, /^\d+ streams in [1-9]/m)
})

test('--help, and options that are none', async () => {
  const help = await fuzz('--help')
  assert.equal(help.code, 0)
  assert.match(help.stdout, /^Usage: npm run fuzz/)
  for (const args of [['--streams', 'many'], ['--seed', '-1'], ['--nonsense']]) {
    const { code, stderr } = await fuzz(...args)
    assert.equal(code, 2)
    assert.match(stderr, /Usage: npm run fuzz/)
  }
})
