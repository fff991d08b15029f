// A thousand connections over a network that fails. More of them, with other seeds: npm run faults -- --runs 10000

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, test } from 'node:test'
import { assertNoLeaks } from '../leaks.ts'
import { runProgram } from '../program.ts'
import { runMany } from './run-many.ts'

after(() => assertNoLeaks())

test('1,000 random runs over a failing network: delivered once and in order, or the sender is told; nothing is left', {
  timeout: 240_000,
}, async (t) => {
  // Always the same plans, so that a change is judged by itself; the command looks for others.
  const seed = 183733376
  const { runs, kinds, ends, accepted, delivered, seconds } = await runMany({ seed, count: 1_000 })
  t.diagnostic(`${runs} runs in ${seconds.toFixed(1)} s, ${delivered} of ${accepted} messages delivered`)
  assert.equal(runs, 1_000)
  // The runs are of all kinds, and end in all ways, or they would prove less than they say.
  assert.deepEqual([...kinds.keys()].sort(), [
    'broadcast',
    'pair',
    'reconnect()',
    'reconnecting()',
    'server.close()',
  ])
  for (const end of ['1000 local clean', '1001 remote clean', '1006 network', '1006 local TimeoutError'])
    assert.ok((ends.get(end) ?? 0) > 0, `no connection ended as ${end}`)
  assert.ok(delivered > 10_000 && delivered < accepted, `${delivered} of ${accepted} messages delivered`)
})

test('npm run faults: repeats a run by its seed, and says what is wrong with its options', async () => {
  await using good = runProgram('test/faults/main.ts', '--runs', '5', '--seed', '7')
  const { code, stdout } = await good.exit
  assert.equal(code, 0, stdout)
  assert.match(stdout, /^5 runs in .* seed 7: all as they should be$/m)
  for (const name of ['--runs', '--stop', '--restart', '--sleep']) {
    await using none = runProgram('test/faults/main.ts', name, '0')
    assert.equal((await none.exit).code, 2, name)
  }
  await using bad = runProgram('test/faults/main.ts', '--runs', 'many')
  const { code: refused, stderr } = await bad.exit
  assert.equal(refused, 2)
  assert.match(stderr, /--runs must be a whole number from 1 on, not "many"\n\nUsage:/)
})

test('npm run faults: Ctrl-C, which npm sends twice, ends a sleep, and the process that it has stopped', {
  skip: process.platform === 'linux' ? false : 'needs the signals of Linux',
}, async () => {
  await using run = runProgram('test/faults/main.ts', '--sleep', '600')
  const [, pid] = await run.output(/^process (\d+) is stopped for 600 s\n/)
  run.child.kill('SIGINT')
  run.child.kill('SIGINT')
  const { code, stdout } = await run.exit
  assert.equal(code, 130)
  assert.match(stdout, /stopped before it was done\n$/)
  // The command has waited for its end.
  assert.ok(!existsSync(`/proc/${pid}`))
})

test('npm run faults: a restart with few clients says that their delays are not judged', async () => {
  await using run = runProgram('test/faults/main.ts', '--restart', '2')
  const { code, stdout } = await run.exit
  assert.equal(code, 0, stdout)
  assert.match(stdout, /^2 clients are too few to judge .*\nclose: all 2 clients are back/)
})
