import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { assertNoLeaks } from './leaks.ts'
import { hasTest } from './proofs.ts'
import { root } from './repo.ts'

after(() => assertNoLeaks())

interface Row {
  readonly runtimes: readonly string[]
  readonly file: string
  readonly title: string
  readonly reason: string
}
interface Failure {
  readonly title: string
  readonly message: string
}
interface Results {
  readJunit(xml: string): { tests: number; skipped: number; failed: Failure[] }
  knownFailures(markdown: string): Row[]
  judgeRun(end: object, xml: string | undefined): { tests: number; failed: Failure[] }
  compare(failed: readonly Failure[], listed: readonly Row[]): { unexpected: Failure[]; passing: Row[] }
  withResults(markdown: string, results: readonly object[]): string
}

// The script is plain JavaScript, so its types are told here.
const script = new URL('../scripts/matrix-results.mjs', import.meta.url).href
const { compare, judgeRun, knownFailures, readJunit, withResults } = (await import(script)) as Results

const page = readFileSync(join(root, 'docs/runtimes.md'), 'utf8')

test('what docs/runtimes.md lists as failing is there', () => {
  const rows = knownFailures(page)
  assert.ok(rows.length > 20, `${rows.length} rows`)
  const lines = page.split('\n').filter((line) => line.includes('.test.ts`'))
  assert.equal(
    new Set(rows.map(({ runtimes, file, reason }) => `${runtimes}${file}${reason}`)).size,
    lines.length,
  )
  for (const { runtimes, file, title, reason } of rows) {
    for (const name of runtimes) assert.match(name, /^(Node (20|22|24|26)|Bun|Deno)$/)
    assert.ok(reason.length > 5)
    const source = readFileSync(join(root, file), 'utf8')
    if (title !== '' && !hasTest(source, title)) {
      // A title that is made from a row of a table.
      const parts = title.replace(/, over (TCP|TLS)$/, '')
      assert.ok(source.includes(parts), `${file} has no "${title}"`)
    }
  }
})

test('its table of results tells of runs that went as listed', () => {
  const rows = page.slice(page.indexOf('<!-- results'), page.indexOf('<!-- end')).split('\n').slice(3, -1)
  for (const row of rows) assert.match(row, /^\| (Node \d+|Bun|Deno) \| \d[\d.]*( \| \d+){4} \|$/)
})

test('reads the reports of all runtimes', () => {
  const node = `<testsuites><testsuite name="a group"><testcase name="good" time="1"/>
    <testcase name="&quot;bad&quot; &lt;one&gt;" time="1"><failure type="x" message="1 !== 2&#10;more">text</failure></testcase>
    <testcase name="left out"><skipped type="skipped" message="true"/></testcase></testsuite></testsuites>`
  assert.deepEqual(readJunit(node), {
    tests: 3,
    skipped: 1,
    failed: [{ title: '"bad" <one>', message: '1 !== 2' }],
  })
  const deno = `<testcase name="a group"><failure message="2 steps failed">x</failure></testcase>
    <testcase name="alone"></testcase>
    <testcase name="a group &gt; good"></testcase>
    <testcase name="a group &gt; bad"><failure message="Uncaught">x</failure></testcase>`
  assert.deepEqual(readJunit(deno), { tests: 3, skipped: 0, failed: [{ title: 'bad', message: 'Uncaught' }] })
  const hook = '<testcase name="g"><failure message="a hook"/></testcase><testcase name="g &gt; good"/>'
  assert.deepEqual(readJunit(hook).failed, [{ title: 'g', message: 'a hook' }])
})

test('a file without a report or a test fails, and so does one that hangs, whatever else failed in it', () => {
  const good = { ok: true, why: '', late: false }
  const one = '<testcase name="a"/>'
  const bad = '<testcase name="a"><failure message="x"/></testcase>'
  const failed = (end: object, xml: string | undefined): string[] =>
    judgeRun(end, xml).failed.map(({ title, message }) => `${title}: ${message}`)
  assert.deepEqual(failed(good, one), [])
  assert.deepEqual(failed(good, undefined), [': gave no report'])
  assert.deepEqual(failed(good, '<testsuites></testsuites>'), [': has no tests'])
  const ended = { ok: false, why: 'ended with exit code 1', late: false }
  assert.deepEqual(failed(ended, bad), ['a: x'])
  assert.deepEqual(failed(ended, one), [': ended with exit code 1'])
  const late = { ok: false, why: 'took longer than 9 s', late: true }
  assert.deepEqual(failed(late, bad), ['a: x', ': took longer than 9 s'])
})

test('npm run test:matrix refuses a file that no runtime runs, ahead of all else', () => {
  for (const [file, ...more] of [['interop/ws.test.ts'], ['./test/matrix.test.ts', '--only', 'bun,deno']]) {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['scripts/test-matrix.mjs', file ?? '', ...more],
      { cwd: root, encoding: 'utf8', timeout: 20_000 },
    )
    assert.deepEqual([status, stdout], [2, ''])
    assert.match(stderr, /^'(interop\/ws|test\/matrix)\.test\.ts' is run by none of .*(Bun|Deno)/)
  }
})

test('tells what fails and is not listed, and what is listed and passes', () => {
  const failure = (title: string): Failure => ({ title, message: 'x' })
  const row = (title: string, reason = 'why'): Row => ({
    runtimes: ['Bun'],
    file: 'f.test.ts',
    title,
    reason,
  })
  assert.deepEqual(compare([failure('a'), failure('b')], [row('b'), row('c')]), {
    unexpected: [failure('a')],
    passing: [row('c')],
  })
  assert.deepEqual(compare([failure('a')], [row('')]), { unexpected: [], passing: [] })
  assert.deepEqual(compare([], [row('')]).passing, [row('')])
  assert.deepEqual(compare([], [row('d', 'Now and then: it does')]).passing, [])
})

test('writes the rows of what ran, and keeps the others', () => {
  const result = { name: 'Bun', version: '1.0', files: 2, tests: 3, known: 1, skipped: 0, problems: 0 }
  const empty = '<!-- results: npm run test:matrix -- --write -->\n<!-- end of results -->\nrest'
  const one = withResults(empty, [result, { ...result, name: 'Node 22' }])
  const two = withResults(one, [
    { ...result, name: 'Node 20' },
    { ...result, version: '1.1' },
  ])
  assert.deepEqual(two.split('\n').slice(3), [
    '| Node 20 | 1.0 | 2 | 3 | 1 | 0 |',
    '| Node 22 | 1.0 | 2 | 3 | 1 | 0 |',
    '| Bun | 1.1 | 2 | 3 | 1 | 0 |',
    '<!-- end of results -->',
    'rest',
  ])
  assert.throws(() => withResults('nothing', [result]), /no place/)
})
