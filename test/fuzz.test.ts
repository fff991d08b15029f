import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { assertNoLeaks } from './leaks.ts'
import { endPrograms, runProgram } from './program.ts'

after(async () => {
  await endPrograms()
  await assertNoLeaks()
})

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

/** The same with a fault that is planted; what it keeps in the corpus is removed. */
async function planted(plant: string, ...args: readonly string[]): Promise<Run> {
  const run = await fuzz('--plant', plant, '--seed', '77', '--first', '990', ...args)
  rmSync(join(import.meta.dirname, 'corpus', 'found-77-999.hex'), { force: true })
  return run
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

test('an error, a loop without an end and a wait without an end are told with seed and number', async () => {
  const error = await planted('error')
  assert.equal(error.code, 1, error.stderr)
  assert.match(error.stdout, /^seed 77\n\nFAILED at stream 999 of seed 77 .*\nError: planted/)
  const wait = await planted('wait')
  assert.equal(wait.code, 1, wait.stderr)
  assert.match(wait.stdout, /FAILED at stream 999 of seed 77 .*\nError: it waits for what never comes/)
  const loop = await planted('loop', '--stuck', '2')
  assert.notEqual(loop.code, 0)
  assert.match(
    loop.stdout,
    /^seed 77\n\nFAILED: stream 999 of seed 77 has no end: .* --first 999 --streams 1\n$/,
  )
})

test('Ctrl-C tells the seed and where it was', async () => {
  await using run = runProgram('test/fuzz.ts', '--seed', '5')
  await run.output(/^seed 5\n/)
  run.child.kill('SIGINT')
  const { code, stdout } = await run.exit
  assert.equal(code, 130)
  assert.match(stdout, /stopped at stream \d+ of seed 5\n$/)
})

test('the memory is not judged by few streams, and says so', async () => {
  const { code, stdout } = await fuzz('--streams', '10')
  assert.equal(code, 0)
  assert.match(stdout, /^memory was not judged/m)
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
  for (const args of [
    ['--streams', 'many'],
    ['--streams', '0'],
    ['--seconds='],
    ['--seconds', '0'],
    ['--seed', '-1'],
    ['--plant', 'roses'],
    ['--nonsense'],
  ]) {
    const { code, stderr } = await fuzz(...args)
    assert.equal(code, 2)
    assert.match(stderr, /Usage: npm run fuzz/)
  }
})
