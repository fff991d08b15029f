// The verdict of `npm run soak`, and a few seconds of it.

import assert from 'node:assert/strict'
import { after, describe, it, test } from 'node:test'
import { assertNoLeaks } from '../leaks.ts'
import { endPrograms, runProgram } from '../program.ts'
import { drawChart, stepFor } from './chart.ts'
import { commandOf, readOptions } from './options.ts'
import { type Counts, judgeGrowth, judgeRest, judgeWork, type Sample, slope } from './verdict.ts'

after(endPrograms)

const MiB = 1024 * 1024

function sample(minutes: number, more: Partial<Sample> = {}): Sample {
  return {
    minutes,
    rss: 100 * MiB,
    heap: 20 * MiB,
    external: 10 * MiB,
    delay: 10,
    files: 300,
    connections: 270,
    ...more,
  }
}

describe('the verdict of a soak', () => {
  it('takes the slope of the most, not of the outliers', () => {
    const points = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((x) => [x, x === 5 ? 1_000 : 2 * x] as const)
    assert.equal(slope(points), 2)
    assert.equal(slope([]), 0)
  })

  it('lets pass what goes up and down, and what grows at first', () => {
    const samples = Array.from({ length: 30 }, (_, i) =>
      sample(i, { heap: (i < 10 ? i : 10) * MiB + (i % 3) * 4 * MiB, delay: i === 20 ? 900 : 10 }),
    )
    assert.deepEqual(
      judgeGrowth(samples).filter(({ ok }) => !ok),
      [],
    )
  })

  for (const [metric, step] of Object.entries({
    heap: MiB,
    external: MiB,
    rss: 4 * MiB,
    files: 5,
    delay: 20,
  })) {
    it(`finds what grows slowly: ${metric}`, () => {
      const samples = Array.from({ length: 30 }, (_, i) => {
        const start = sample(i)
        return { ...start, [metric]: start[metric as 'heap'] + i * step }
      })
      const grown = judgeGrowth(samples).filter(({ ok }) => !ok)
      assert.deepEqual(
        grown.map((growth) => growth.metric),
        [metric],
      )
    })
  }

  it('finds what is left behind', () => {
    const before = sample(0, { files: 20, connections: 0 })
    assert.deepEqual(judgeRest(before, before), [])
    const after = sample(9, { files: 30, connections: 2, heap: 60 * MiB })
    assert.deepEqual(judgeRest(before, after), [
      '2 connections are left',
      '10 files are left open',
      '40.0 MiB are kept',
    ])
  })

  it('finds work that is never done, or that ends', () => {
    const names = ['dialed', 'echoes', 'streams', 'news', 'closed', 'terminated', 'aborted', 'slept']
    const history = (streams: (i: number) => number): Counts[] =>
      Array.from({ length: 12 }, (_, i) => ({
        ...Object.fromEntries(names.map((name) => [name, i + 1])),
        streams: streams(i),
      }))
    const judged = (streams: (i: number) => number, load: number): string[] =>
      judgeWork('clients', history(streams), load)
    assert.deepEqual(
      judged((i) => i + 1, 1_000),
      [],
    )
    assert.deepEqual(
      judged(() => 0, 1_000),
      ['clients: no streams in third 1 of the run'],
    )
    assert.deepEqual(
      judged((i) => Math.min(i, 5), 1_000),
      ['clients: no streams in third 3 of the run'],
    )
    // In a small run not every kind comes so often.
    assert.deepEqual(
      judged((i) => Math.min(i, 5), 20),
      [],
    )
    assert.deepEqual(
      judged(() => 0, 20),
      ['clients: no streams'],
    )
    assert.equal(judgeWork('server', [{}], 20).length, 5)
  })
})

after(() => assertNoLeaks())

describe('the charts of a soak', () => {
  it('have round steps, all lines, and both colour schemes', () => {
    assert.deepEqual([7, 100, 0.3, 4_000].map(stepFor), [2, 50, 0.1, 1_000])
    const points = [0, 1, 2].map((x) => [x, x * 10] as const)
    const svg = drawChart({
      title: 'a < b',
      unit: 'MiB',
      series: [
        { name: 'one', points },
        { name: 'two', points },
      ],
    })
    assert.equal(svg.match(/class="line s\d" d="M56\.0/g)?.length, 2)
    assert.match(svg, /prefers-color-scheme:dark/)
    assert.match(svg, />a &#60; b</)
    assert.doesNotMatch(svg, /NaN|Infinity/)
    assert.doesNotMatch(
      drawChart({ title: '', unit: '', series: [{ name: 'none', points: [] }] }),
      /NaN|Infinity/,
    )
  })
})

describe('npm run soak', () => {
  it('says what is wrong with its options', () => {
    assert.equal(readOptions(['--help']), undefined)
    assert.deepEqual(readOptions(['--minutes', '0.5', '--connections', '10', '--seed', '3']), {
      minutes: 0.5,
      connections: 10,
      seed: 3,
      out: undefined,
      plant: undefined,
    })
    const again = ['--minutes', '0.5', '--connections', '10', '--seed', '3', '--out', 'x', '--plant', 'files']
    const options = readOptions(again)
    assert.ok(options !== undefined)
    assert.equal(commandOf(options), `npm run soak -- ${again.join(' ')}`)
    for (const [name, value] of [
      ['minutes', 'x'],
      ['minutes', '0'],
      ['connections', '1.5'],
      ['plant', 'roses'],
    ] as const)
      assert.throws(() => readOptions([`--${name}`, value]), new RegExp(`--${name} .*"${value}"`))
  })
})

describe('what is planted is found', { concurrency: true, timeout: 240_000 }, () => {
  const plants: [plant: string, found: RegExp][] = [
    ['memory', /heap of the server grew by.* MiB are kept|MiB are kept.*heap of the server grew by/],
    ['buffers', /external of the server grew by/],
    ['files', /files are left open.*; files of the server grew by/],
    ['errors', /\d+ times unexpected: server: planted/],
    ['silence', /clients: no streams/],
  ]
  for (const [plant, found] of plants) {
    test(plant, async () => {
      const args = ['--minutes', '0.3', '--connections', '30', '--seed', '1', '--plant', plant]
      await using run = runProgram('test/soak/main.ts', ...args)
      const { code, stdout } = await run.exit
      assert.equal(code, 1, stdout)
      const written = `^Written by \`npm run soak -- --minutes 0.3 .* --plant ${plant}\`: \\d+ samples .*, commit `
      assert.match(stdout, new RegExp(written, 'm'))
      const [, failed = ''] = /\*\*Failed:\*\* (.*)/.exec(stdout) ?? []
      assert.match(failed, found)
    })
  }
})

test('Ctrl-C ends it early, without a verdict when there is too little to judge', {
  timeout: 120_000,
}, async () => {
  const args = ['--minutes', '1', '--connections', '5', '--seed', '1', '--plant', 'silence']
  await using run = runProgram('test/soak/main.ts', ...args)
  await run.output(/5 connections for 1 minutes\n(.*\n)*.* min {2}clients/)
  run.child.kill('SIGINT')
  const { code, stdout } = await run.exit
  assert.equal(code, 1, stdout)
  assert.match(stdout, /--plant silence`, stopped early, after [\d.]+ minutes: \d samples/)
  assert.match(stdout, /\*\*No verdict:\*\* \d samples are too few/)
})
