// The benchmark's own arithmetic, and one small run of it: a figure is believed because of these.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { barChart, lineChart } from '../bench/chart.ts'
import { curveChart, curves, curveTable } from '../bench/curves.ts'
import { commitOf } from '../bench/environment.ts'
import {
  binaryMessage,
  clientFrame,
  jsonMessage,
  opcodes,
  serverFrame,
  textMessage,
} from '../bench/frames.ts'
import { keepMicros, microTable, readHistory } from '../bench/history.ts'
import { compare, type Sample } from '../bench/load.ts'
import { type Expected, MessageReader } from '../bench/message-reader.ts'
import { choose, commandOf, OptionError, readOptions } from '../bench/options.ts'
import { writeFigures } from '../bench/page.ts'
import { profiled, profileServers, profileTable, profileWorkloads } from '../bench/profile.ts'
import { Progress } from '../bench/progress.ts'
import { markOf, type Origin, type Result, summarize } from '../bench/results.ts'
import { runPlan, stepsOf } from '../bench/rounds.ts'
import { builtEntry, contestantsOf } from '../bench/servers.ts'
import { formatNumber, formatSpread, median, spreadOf } from '../bench/stats.ts'
import { disturbance, footnotes, markdownTable, plainTable, workloadTable } from '../bench/tables.ts'
import { targets, targetTable } from '../bench/targets.ts'
import { type CpuUse, canMeasure, cpuOf, idleOf, usedBetween } from '../bench/usage.ts'
import { echoOf, type Workload, workloads } from '../bench/workloads.ts'
import { assertNoLeaks } from './leaks.ts'
import { root } from './repo.ts'

after(() => assertNoLeaks())

const contestants = contestantsOf({ entry: join(root, 'src/index.ts') })

function contestant(name: string) {
  return choose(contestants, [name], '--server')[0] as (typeof contestants)[number]
}

const sample: Sample = {
  messagesPerSecond: 1000,
  cpuPerMessage: 10,
  serverBusy: 0.9,
  loadBusy: 0.5,
  others: 0,
}

function samples(...costs: number[]): Sample[] {
  return costs.map((cpuPerMessage) => ({ ...sample, cpuPerMessage }))
}

const onLinux = { skip: canMeasure ? false : 'CPU and memory are read from /proc', timeout: 60_000 }

describe('options', () => {
  test('nothing given measures everything, and writes it down', () => {
    const { parts, write, rounds } = readOptions([])
    assert.deepEqual(parts, ['workloads', 'curves', 'profile', 'micro'])
    assert.equal(write, true)
    assert.equal(rounds, 5)
  })
  test('a part that is named is measured alone, and written only when asked for', () => {
    assert.deepEqual(readOptions(['--micro']).parts, ['micro'])
    assert.deepEqual(readOptions(['--server', 'ws']).parts, ['workloads'])
    assert.deepEqual(readOptions(['--curves', '--workload', 'chat']).parts, ['workloads', 'curves'])
    assert.deepEqual(readOptions(['--profile']).parts, ['profile'])
    assert.deepEqual(readOptions(['--profile', '--workload', 'echo-1']).parts, ['profile'])
    assert.equal(readOptions(['--micro']).write, false)
    assert.equal(readOptions(['--micro', '--write']).write, true)
  })
  test('names are separated by commas', () => {
    const { workloads: names, rounds } = readOptions(['--workload', 'a,b', '--workload', 'c', '--quick'])
    assert.deepEqual(names, ['a', 'b', 'c'])
    assert.equal(rounds, 3)
  })
  test('what is wrong is named', () => {
    for (const rounds of ['0', '1.5', 'many', '101'])
      assert.throws(() => readOptions(['--rounds', rounds]), {
        message: new RegExp(`--rounds .*'${rounds}'`),
      })
    assert.throws(() => readOptions(['--fast']), OptionError)
    assert.throws(() => readOptions(['--write', '--before', '..']), /--write .*--before/)
    assert.throws(
      () => choose(workloads, ['echo-17'], '--workload'),
      /--workload: there is no 'echo-17', only echo/,
    )
  })
  test('a list of no names is refused, and a folder that is not there', () => {
    assert.throws(() => readOptions(['--workload', ',']), /--workload takes names/)
    assert.throws(() => readOptions(['--workload', 'chat', '--server', ',']), /--server takes names/)
    assert.throws(() => readOptions(['--json', '/nowhere/at/all.json']), /--json: .*ENOENT/)
    assert.equal(readOptions(['--json', 'here.json']).json, 'here.json')
  })
  test('the command that is recorded can be run', () => {
    assert.equal(commandOf([]), 'npm run bench')
    assert.equal(commandOf(['--json', "a b'c", '--quick']), "npm run bench -- --json 'a b'\\''c' --quick")
    // It would be one that no run accepts.
    assert.throws(() => readOptions(['--curves', '--', '--quick']), OptionError)
  })
})

describe('on the command line', () => {
  const run = (script: string, ...args: string[]) => {
    const all = [...(script.endsWith('.ts') ? ['--import', 'tsx'] : []), script, ...args]
    return spawnSync(process.execPath, all, { cwd: root, encoding: 'utf8', timeout: 60_000 })
  }
  test('a mistake is told without a stack, and before anything is installed or built', () => {
    const { status, stderr } = run('scripts/bench.mjs', '--workload', 'nothing')
    assert.equal(status, 2)
    assert.match(stderr, /^--workload: there is no 'nothing'/)
    assert.doesNotMatch(stderr, /\n\s+at |node_modules/)
  })
  test('what could not be measured, or not be shown, is a mistake', onLinux, () => {
    const none = run('bench/main.ts', '--check', '--workload', 'deflate', '--server', 'ceiling')
    assert.match(none.stderr, /None of these servers/)
    const bun = run('bench/main.ts', '--check', '--curves', '--server', 'bun')
    assert.match(bun.stderr, /--curves: there is no 'bun', only silverback, ws, ceiling/)
    const chat = run('bench/main.ts', '--check', '--profile', '--workload', 'chat')
    assert.match(chat.stderr, /--workload with --profile: there is no 'chat', only echo-1,/)
    assert.deepEqual([none.status, bun.status, chat.status], [1, 1, 1])
    assert.equal(run('bench/main.ts', '--check').status, 0)
  })
  test('a server that was named and is left out is a failure', onLinux, () => {
    const args = ['--entry', '/nope.js', '--server', 'silverback', '--workload', 'chat', '--rounds', '1']
    const { status, stderr } = run('bench/main.ts', ...args)
    assert.equal(status, 1)
    assert.match(stderr, /Left out: silverback in chat/)
  })
})

describe('statistics', () => {
  test('median and spread', () => {
    assert.equal(median([3, 1, 2]), 2)
    assert.equal(median([4, 1, 2, 3]), 2.5)
    assert.deepEqual(spreadOf([5, 4, 9]), { median: 5, min: 4, max: 9 })
  })
  test('numbers keep three digits', () => {
    assert.deepEqual([0, 0.12345, 1, 9.999, 12.34, 99.96, 1234.5].map(formatNumber), [
      '0',
      '0.123',
      '1',
      '10',
      '12.3',
      '100',
      '1,235',
    ])
    assert.equal(formatSpread({ median: 10, min: 9.5, max: 12 }), '10 ±20 %')
  })
  test('the ratio to ws is taken round by round', () => {
    const series = [
      { contestant: contestant('silverback'), samples: samples(1, 2, 100) },
      { contestant: contestant('ws'), samples: samples(3, 4, 500) },
    ]
    const [own, base] = summarize(echoOf(binaryMessage(1), 1, 1), series)
    assert.deepEqual(own?.ratio, { median: 3, min: 2, max: 5 })
    assert.deepEqual(base?.ratio, { median: 1, min: 1, max: 1 })
    assert.deepEqual(own?.figures.cpuPerMessage, { median: 2, min: 1, max: 100 })
  })
  test('who fails has no figures, and says why', () => {
    const series = [{ contestant: contestant('bun'), samples: samples(1), skipped: 'it is not there' }]
    const [result] = summarize(echoOf(binaryMessage(1), 1, 1), series)
    assert.deepEqual([result?.figures, result?.ratio, result?.skipped], [{}, undefined, 'it is not there'])
  })
})

describe('CPU', () => {
  const use = (ticks: number, threads: Record<string, number>): CpuUse => ({
    ticks,
    threads: new Map(Object.entries(threads)),
  })
  const second = 1e9

  test('is what all threads used, as the scheduler counts it', () => {
    assert.equal(usedBetween(use(0, { a: 1, b: 10 }), use(99, { a: 3, b: 15 })), 7)
    assert.equal(usedBetween(use(0, { a: 1 }), use(99, { a: 1, born: 5 })), 5)
  })
  test('is that of the process when a thread has ended, or they are not known', () => {
    assert.equal(usedBetween(use(20, { a: 1, gone: 10 }), use(50, { a: 3 })), 30)
    assert.equal(usedBetween(use(20, {}), use(50, { a: 3 })), 30)
    assert.equal(usedBetween(use(20, { a: 3 }), use(50, {})), 30)
  })
  test('of others is what neither the server used, with all its threads, nor was left over', () => {
    const before = { count: 0, time: 0, server: use(0, { a: 0 }), own: use(0, { a: 0 }), idle: 0 }
    const after = (used: number, idle: number | undefined) => ({
      ...before,
      count: 1,
      time: 1000,
      server: use(0, { a: used / 2, pool: used / 2 }),
      idle,
    })
    assert.equal(compare(before, after(0.75 * second, 0.25 * second)).others, 0)
    assert.equal(compare(before, after(0.5 * second, 0.25 * second)).others, 0.25)
    // Idle time is counted in steps of 10 ms.
    assert.equal(compare(before, after(second, 0.01 * second)).others, 0)
    assert.equal(compare(before, after(second, undefined)).others, undefined)
  })
  test('is told by this machine', { skip: canMeasure ? false : 'it is not Linux' }, () => {
    assert.ok(cpuOf(process.pid).threads.size > 1)
    assert.ok((idleOf(0) as number) >= 0)
    assert.equal(idleOf(9999), undefined)
  })
})

describe('reading replies', () => {
  const hello = Buffer.from('hello')
  const reader = (given: Partial<Expected> = {}): [MessageReader, number[]] => {
    const controls: number[] = []
    const check = (payload: Buffer): string | undefined => (payload.equals(hello) ? undefined : `${payload}`)
    return [
      new MessageReader({ length: undefined, check, ...given }, (opcode) => controls.push(opcode)),
      controls,
    ]
  }

  test('frames are the same wherever the bytes are cut', () => {
    const fragments = [Buffer.from([0x01, 2]), Buffer.from('he'), Buffer.from([0x80, 3]), Buffer.from('llo')]
    const stream = Buffer.concat([
      serverFrame(1, hello),
      serverFrame(9, hello),
      ...fragments,
      clientFrame(1, hello),
    ])
    for (let size = 1; size <= stream.length; size++) {
      const [messages, controls] = reader()
      let count = 0
      for (let at = 0; at < stream.length; at += size) {
        const chunk = stream.subarray(at, at + size)
        count += messages.read(chunk, chunk.length)
      }
      assert.equal(count, 3)
      assert.deepEqual(controls, [9])
      assert.equal(messages.partial, 0)
    }
  })
  test('long payloads', () => {
    for (const size of [125, 126, 65_535, 65_536]) {
      const { payload } = binaryMessage(size)
      const [messages] = reader({ check: (bytes) => (bytes.equals(payload) ? undefined : 'not the same') })
      for (const frame of [serverFrame(2, payload), clientFrame(2, payload)])
        messages.read(frame, frame.length)
      assert.equal(messages.messages, 2)
    }
  })
  test('a wrong length is found in any message, wrong content in the first', () => {
    const [lengths] = reader()
    const [good, bad] = [serverFrame(1, hello), serverFrame(1, Buffer.from('hell'))]
    lengths.read(good, good.length)
    assert.throws(() => lengths.read(bad, bad.length), /4 bytes instead of 5/)
    const [contents] = reader({ length: 5 })
    const other = serverFrame(1, Buffer.from('hullo'))
    assert.throws(() => contents.read(other, other.length), /not what was sent: hullo/)
  })
  test('content is checked again later', () => {
    const [messages] = reader()
    const [good, bad] = [serverFrame(1, hello), serverFrame(1, Buffer.from('hullo'))]
    messages.read(good, good.length)
    assert.throws(() => {
      for (let count = 0; count < 100; count++) messages.read(bad, bad.length)
    }, /not what was sent/)
  })
  test('greetings and noise of a protocol above do not count', () => {
    const [messages] = reader({ greetings: 1, noise: 1 })
    const stream = Buffer.concat([
      serverFrame(1, Buffer.from('0{}')),
      serverFrame(1, Buffer.from('2')),
      serverFrame(1, hello),
    ])
    assert.equal(messages.read(stream, stream.length), 1)
    assert.equal(messages.greetings, 0)
  })
})

test('messages are as long as their names say, and the same each time', () => {
  assert.deepEqual(binaryMessage(125), binaryMessage(125))
  assert.equal(binaryMessage(125).payload.length, 125)
  assert.equal(textMessage(1024).payload.length, 1024)
  const { payload } = jsonMessage(1024)
  assert.ok(payload.length >= 1024 && payload.length < 1124)
  assert.equal(JSON.stringify(JSON.parse(`${payload}`)), `${payload}`)
})

describe('what is shown', () => {
  const workload = echoOf(binaryMessage(125), 64, 16, 'echo-16')
  const results = summarize(workload, [
    { contestant: contestant('silverback'), samples: samples(1, 1, 1.1) },
    { contestant: contestant('ws'), samples: samples(10, 10.5, 10) },
  ])

  test('tables leave out what nobody has', () => {
    const table = workloadTable(workload, results)
    assert.deepEqual(table[0]?.slice(0, 3), ['server', 'CPU us/message', 'against `ws`'])
    assert.ok(!table[0]?.includes('p50 us'))
    assert.equal(
      markdownTable(table).split('\n')[1],
      `|---${'|--:'.repeat((table[0]?.length as number) - 1)}|`,
    )
    assert.match(plainTable(table), /^silverback +1 ±10 % +10x/m)
  })
  test('targets tell what is reached', () => {
    const [, row] = targetTable(results)
    assert.deepEqual(row, ['echo-16', 'silverback', '10x', '8x', '12x', 'reached'])
    const slow = summarize(workload, [
      { contestant: contestant('silverback'), samples: samples(2) },
      { contestant: contestant('ws'), samples: samples(10) },
    ])
    assert.equal(targetTable(slow)[1]?.at(-1), 'missed')
  })
  test('every target names a workload and a server', () => {
    for (const { workload: name, server } of targets) {
      assert.ok(
        workloads.some((one) => one.name === name),
        name,
      )
      assert.ok(contestant(server))
    }
  })
  test('a machine that is not quiet is told', () => {
    assert.equal(disturbance(results), undefined)
    const noisy = [{ contestant: contestant('ws'), samples: [{ ...sample, others: 0.3 }] }]
    assert.match(disturbance(summarize(workload, noisy)) ?? '', /30 %/)
  })
  test('charts are drawn of numbers, and escape their texts', () => {
    const bars = barChart('a < b', [{ label: 'silverback', value: 2, min: 1, max: 3 }], String)
    const points = [[1, 0.5] as const, [100, 20] as const]
    const titles = { title: 't', xTitle: 'x', yTitle: 'y' }
    const lines = lineChart({ ...titles, lines: [{ name: 'ws', points }], formatX: String, formatY: String })
    for (const svg of [bars, lines]) {
      assert.match(svg, /^<svg [\s\S]*<\/svg>\n$/)
      assert.doesNotMatch(svg, /NaN|Infinity|undefined/)
    }
    assert.match(bars, /a &lt; b/)
  })
  test('a curve with one server only is drawn, too', () => {
    const [curve] = curves
    assert.ok(curve)
    const one = curve.points
      .slice(0, 2)
      .flatMap(({ workload: point }) =>
        summarize(point, [{ contestant: contestant('ws'), samples: samples(3) }]),
      )
    assert.doesNotMatch(curveChart(curve, one), /NaN|silverback/)
    assert.deepEqual(curveTable(curve, one)[1]?.slice(0, 5), ['16 B', '', '', '3 ±0 %*', ''])
  })
  test('a change in the history is told in percent', () => {
    const run = (mask: number) => ({ date: '', commit: 'abc', node: '', machine: '', nanoseconds: { mask } })
    const [first, second] = readHistory(`${JSON.stringify(run(10))}\n${JSON.stringify(run(12))}\n`)
    assert.ok(first && second)
    assert.deepEqual(microTable(second, first), [
      ['part', 'ns', 'since abc'],
      ['mask', '12', '+20 %'],
    ])
  })
  test('the history tells of the own build alone', () => {
    const folder = mkdtempSync(join(tmpdir(), 'silverback-bench-'))
    try {
      const file = join(folder, 'history.jsonl')
      const run = { date: '', commit: 'abc', node: '', machine: '', nanoseconds: { mask: 1 } }
      keepMicros(run, '/elsewhere/dist/index.js', file)
      assert.ok(!existsSync(file))
      keepMicros(run, builtEntry, file)
      assert.deepEqual(readHistory(readFileSync(file, 'utf8')), [run])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
  test('figures for a look alone have a star', () => {
    const full = results.map((result) => ({ ...result, origin: originOf('full', 3) }))
    const marks = (all: readonly Result[]) => all.map((result) => markOf(result, all))
    assert.deepEqual(marks(results), ['', ''])
    assert.deepEqual(marks(full), ['', ''])
    const quick = originOf('quick', 3)
    assert.deepEqual(marks(results.map((result) => ({ ...result, origin: quick }))), ['*', '*'])
    assert.deepEqual(marks(results.map((result) => ({ ...result, rounds: 2 }))), ['*', '*'])
    // Whose base was disturbed, was compared with a disturbed one.
    const [own, base] = results as [Result, Result]
    const disturbed = { ...base, figures: { ...base.figures, others: { median: 0, min: 0, max: 0.2 } } }
    assert.deepEqual(marks([own, disturbed]), ['*', '*'])
    assert.deepEqual(marks([disturbed, { ...own, origin: quick }]), ['*', '*'])
    assert.match(disturbance([{ ...base, figures: {} }]) ?? '', /no core of their own/)
    const table = targetTable([own, disturbed])
    assert.equal(table[1]?.[2], '10x*')
    assert.equal(footnotes(table).length, 1)
    assert.deepEqual(footnotes(targetTable(results)), [])
  })
})

function originOf(timing: Origin['timing'], rounds: number, command = 'npm run bench'): Origin {
  const versions = [`of ${command}`]
  return { machine: 'a machine', versions, commit: 'abc', date: '2020-02-20', rounds, timing, command }
}

describe('the document', () => {
  const workload = echoOf(binaryMessage(125), 64, 16, 'echo-16')
  const chat = { ...workload, name: 'chat' }
  const measured = (origin: Origin, of: typeof workload, costs: Record<string, number>): Result[] => {
    const series = Object.entries(costs).map(([name, cost]) => ({
      contestant: contestant(name),
      samples: samples(cost, cost, cost),
    }))
    return summarize(of, series).map((result) => ({ ...result, origin }))
  }
  const first = originOf('full', 3, 'npm run bench -- --first')
  const second = originOf('quick', 3, 'npm run bench -- --second')

  function pageAfter(...runs: (readonly Result[])[]): string {
    const docs = mkdtempSync(join(tmpdir(), 'silverback-bench-'))
    try {
      mkdirSync(join(docs, 'performance'))
      // As it was written before origins told all; and a chart of what is not there any more.
      const old = { environment: {}, origins: { chat: {} }, results: measured(first, chat, { ws: 77 }) }
      writeFileSync(join(docs, 'performance/figures.json'), JSON.stringify(old))
      writeFileSync(join(docs, 'performance/old.svg'), '')
      for (const run of runs) writeFigures(docs, run)
      const page = readFileSync(join(docs, 'performance.md'), 'utf8')
      const images = [...page.matchAll(/\]\(performance\/([^)]*)\)/g)].map(([, image]) => image as string)
      const files = readdirSync(join(docs, 'performance')).filter((name) => name !== 'figures.json')
      assert.deepEqual(files.sort(), images.sort())
      return page
    } finally {
      rmSync(docs, { recursive: true })
    }
  }
  const part = (page: string, title: string): string =>
    page.split(/^##+ /m).find((text) => text.startsWith(title)) ?? ''

  test('keeps what a run has not measured anew, and tells of each where it comes from', () => {
    const page = pageAfter(
      measured(first, workload, { silverback: 1, ws: 10, bun: 3 }),
      measured(second, chat, { silverback: 5 }),
      measured(second, workload, { silverback: 2, ws: 10 }),
    )
    const [echo, other] = [part(page, 'echo-16'), part(page, 'chat')]
    assert.match(echo, /^\| bun \| 3 ±0 % \| 3.33x/m)
    assert.match(echo, /^\| silverback\* \| 2 ±0 % \| 5x/m)
    assert.match(
      echo,
      /silverback, ws: \[run 1\]\(#run-1\), 3 quick rounds.* bun: \[run 2\]\(#run-2\), 3 full rounds/,
    )
    assert.match(other, /^\[run 1\]\(#run-1\), 3 quick rounds/m)
    assert.doesNotMatch(page, /77/)
    assert.match(
      part(page, 'Run 1'),
      /3 quick rounds: `npm run bench -- --second`[\s\S]*of npm run bench -- --second/,
    )
    assert.match(part(page, 'Run 2'), /a machine\. Versions: of npm run bench -- --first/)
    assert.match(part(page, 'Workloads'), /\| 5\* \|[\s\S]*`\*`: short rounds/)
    assert.match(part(page, 'Targets'), /\| 5x\* \|[\s\S]*`\*`: short rounds/)
  })
  test('keeps what a server had that is left out', () => {
    const [own] = measured(second, workload, { silverback: 2 }) as [Result]
    const out = (skipped: string): Result => ({ ...own, rounds: 0, figures: {}, skipped })
    const good = measured(first, workload, { silverback: 1 })
    assert.match(part(pageAfter(good, [out('gone')]), 'echo-16'), /^\| silverback \| 1 /m)
    assert.match(part(pageAfter([out('gone')], good), 'echo-16'), /^\| silverback \| 1 /m)
    const never = pageAfter(measured(first, workload, { ws: 1 }), [out('gone')], [out('still gone')])
    assert.match(part(never, 'echo-16'), /^silverback is left out: still gone\.$/m)
  })
  test('has no figures when nothing is known', () => {
    assert.doesNotMatch(pageAfter([]), /77|## Workloads|## Runs/)
  })
  test('tells where the time goes, beside what the same workload costs', () => {
    const cost = measured(first, workload, { silverback: 1, ws: 10 })
    const shares = { inWrite: 0.5, inRest: 0.2, inGc: 0.1, inZlib: 0, inNode: 0.15, inLibrary: 0.05 }
    const series = [{ contestant: contestant('silverback'), samples: [{ ...sample, ...shares }] }]
    const profile = summarize(profiled(workload), series).map((result) => ({ ...result, origin: second }))
    const page = pageAfter(cost, profile)
    assert.match(part(page, 'echo-16'), /^\| silverback \| 1 /m)
    const table = part(page, 'Where the time goes')
    assert.match(table, /^\| echo-16 \| silverback \| 50 % \| 20 % \| 10 % \| 0 % \| 15 % \| 5 % \|$/m)
    assert.match(table, /^\[run 2\]\(#run-2\)/m)
    assert.doesNotMatch(pageAfter(cost), /Where the time goes/)
  })
  test('names the commit, and that there were changes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'silverback-bench-'))
    const git = (...args: string[]): void => {
      const given = ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@localhost', ...args]
      const { status, stderr } = spawnSync('git', given, { encoding: 'utf8' })
      assert.equal(status, 0, stderr)
    }
    try {
      mkdirSync(join(folder, 'bench'))
      writeFileSync(join(folder, 'bench/load.ts'), '1')
      git('init', '--quiet')
      git('add', '.')
      git('commit', '--quiet', '--message', 'one')
      const clean = commitOf(folder)
      assert.match(clean, /^[0-9a-f]{7,}$/)
      // Neither of them is measured, or measures.
      writeFileSync(join(folder, 'bench/history.jsonl'), '1')
      writeFileSync(join(folder, 'README.md'), '1')
      assert.equal(commitOf(folder), clean)
      writeFileSync(join(folder, 'bench/load.ts'), '2')
      assert.equal(commitOf(folder), `${clean}+changes`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

test('every server has a program, and every program a server', () => {
  const programs = readdirSync(join(root, 'bench/servers')).filter(
    (name) => name !== 'control.mjs' && name !== 'profile.mjs',
  )
  const table = readFileSync(join(root, 'bench/servers.ts'), 'utf8')
  const names = contestants.map(({ name }) => name)
  for (const program of programs) {
    const name = program.replace(/\.\w+$/, '')
    assert.ok(names.includes(name) || table.includes(program), program)
  }
})

test('a small run: both servers answer every message, and have used CPU for it', onLinux, async () => {
  const plan = {
    workloads: choose(workloads, ['echo-1', 'chat', 'connect'], '--workload').map((workload) => ({
      ...workload,
      connections: 4,
      ...(workload.drive === 'broadcast' && { publishers: 4 }),
    })),
    contestants: [contestant('silverback'), contestant('ceiling')],
    rounds: 1,
    timing: { warm: 20, measure: 40 },
    core: undefined,
  }
  assert.equal(stepsOf(plan), 6)
  const quiet = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream
  const results = await runPlan(plan, new Progress(6, quiet))
  for (const { workload, server, skipped, figures } of results) {
    assert.equal(skipped, undefined, `${workload}: ${server}: ${skipped}`)
    assert.ok((figures.cpuPerMessage?.median as number) > 0, `${workload}: ${server}`)
    assert.ok((figures.messagesPerSecond?.median as number) > 0)
    if (workload === 'echo-1') assert.ok((figures.p50?.median as number) <= (figures.p99?.median as number))
  }
  assert.equal(results.length, 6)
})

test('a small run that tells where the time goes', onLinux, async () => {
  const [deflate] = choose(profileWorkloads, ['deflate'], '--workload').map(profiled) as [Workload]
  assert.ok(profileServers.includes('silverback'))
  const plan = {
    workloads: [{ ...deflate, connections: 4 }],
    contestants: [contestant('silverback')],
    rounds: 1,
    timing: { warm: 200, measure: 300, profile: true },
    core: undefined,
  }
  const quiet = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream
  const results = await runPlan(plan, new Progress(stepsOf(plan), quiet))
  const [{ figures, skipped }] = results as [Result]
  assert.equal(skipped, undefined)
  const { inWrite, inRest, inGc, inZlib, inNode, inLibrary } = figures
  const shares = [inWrite, inRest, inGc, inZlib, inNode, inLibrary].map((share) => share?.median as number)
  assert.ok(Math.abs(shares.reduce((total, share) => total + share) - 1) < 1e-6, `${shares}`)
  // What is surely there; whether garbage is collected, or a file is seen, in so short a time, is not.
  for (const share of [inWrite, inZlib, inNode]) assert.ok((share?.median as number) > 0, `${shares}`)
  const [heads, ...rows] = profileTable(results)
  assert.equal(heads?.length, 8)
  assert.deepEqual(
    rows.map((row) => row.slice(0, 2)),
    [['deflate', 'silverback']],
  )
})

test('frames of the load generator', () => {
  assert.deepEqual(serverFrame(opcodes.text, Buffer.from('Hello')), Buffer.from('810548656c6c6f', 'hex'))
  // RFC 6455, section 5.7.
  const masked = clientFrame(opcodes.text, Buffer.from('Hello'))
  assert.deepEqual(masked, Buffer.from('818537fa213d7f9f4d5158', 'hex'))
})
