// `npm test`: every check of this repository, in the order in which a mistake is cheapest to find.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { coverageRows, table } from './coverage.mjs'
import { installDocs } from './docs-api.mjs'
import { filesBelow, root, run } from './run.mjs'

const help = `Usage: npm test -- [options] [files]

Checks types and style, builds and checks the package, runs all tests, and gates their line coverage
(100 % of each file in src/wire and src/protocol, 95 % elsewhere in src).

  --only unit|interop  run only the tests of src/ and test/ (needs no browser), or only those of interop/,
                       which are not measured
  --no-coverage        do not measure
  --table              print the coverage of every file, not only of those below the gate
  --help               print this

With files (*.test.ts) only these are run, and nothing else is checked.
SILVERBACK_NO_APT=1 keeps the set-up from installing Debian packages.`

const folders = { unit: ['src', 'test'], interop: ['interop'] }

/** Something is wrong that the user can see and mend: only the message is printed. */
class Failure extends Error {}

function readOptions() {
  let parsed
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        'no-coverage': { type: 'boolean', default: false },
        table: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new Failure(`${error.message}\n\n${help}`)
  }
  const { values, positionals: files } = parsed
  if (values.only !== undefined && !Object.hasOwn(folders, values.only)) {
    throw new Failure(`--only takes unit or interop, not '${values.only}'`)
  }
  for (const file of files) {
    if (!file.endsWith('.test.ts') || !existsSync(join(root, file))) {
      throw new Failure(`'${file}' is not a test file (*.test.ts) of this repository`)
    }
  }
  return { ...values, files }
}

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`

async function step(label, work) {
  console.log(`\n▶ ${label}`)
  const start = performance.now()
  try {
    await work()
  } catch (error) {
    console.log(`✖ ${label} failed (${seconds(start)})`)
    throw error
  }
  console.log(`✔ ${label} (${seconds(start)})`)
}

/** Runs a command whose output matters only when it fails. */
async function check(command, args) {
  const { ok, why, stdout, output } = await run(command, args, { seconds: 180 })
  if (!ok) throw new Failure(`${output.trimEnd()}\n${[command, ...args].join(' ')} ${why}`)
  return stdout
}

/** The package as users get it: its exports map, its files and its types. Works on a packed file, without network. */
async function checkPackage(temp) {
  const packed = JSON.parse(
    await check('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', temp]),
  )
  const archive = join(temp, packed[0].filename)
  await check('interop/node_modules/.bin/publint', ['run', archive, '--strict'])
  await check('interop/node_modules/.bin/attw', [archive, '--profile', 'esm-only', '--no-definitely-typed'])
}

/** Prints the runner's own report as it comes, and returns what must be said again at the end. */
async function runTests(files, temp, coverage) {
  const summary = join(temp, 'totals.json')
  const args = [
    '--conditions=silverback:source',
    '--import=tsx',
    '--test',
    `--test-concurrency=${Math.max(2, availableParallelism())}`,
    // Long after anything that works: a test that hangs is named instead of hanging the run.
    '--test-timeout=300000',
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/totals-reporter.mjs',
    `--test-reporter-destination=${summary}`,
    ...files,
  ]
  const env = coverage === undefined ? process.env : { ...process.env, NODE_V8_COVERAGE: coverage }
  const { ok, why } = await run(process.execPath, args, { seconds: 1800, env, show: true })
  let result
  try {
    result = JSON.parse(readFileSync(summary, 'utf8'))
  } catch {
    throw new Failure(`the test runner ${why === '' ? 'ended' : why}, without totals`)
  }
  // The runner judges; that nothing ran at all would be a fault of ours.
  if (ok && result.totals.length === 0) throw new Failure('the test runner reported no totals')
  return { ...result, ok, why }
}

function gateCoverage(folder, everyFile) {
  const sources = filesBelow('src', '.ts').filter(
    // Entry points only name what others hold.
    (path) => !path.endsWith('.test.ts') && !/^src\/[^/]+$/.test(path),
  )
  const rows = coverageRows(root, folder, sources)
  const below = rows.filter(({ ok }) => !ok)
  if (everyFile) console.log(table(rows))
  if (below.length > 0)
    throw new Failure(`${below.length} of ${rows.length} files are below the gate:\n${table(below)}`)
  console.log(`  all ${rows.length} files reach the gate`)
}

/** The last lines of every run that got as far as running tests. */
function printTotals({ totals, skipped, failed, ok, why }) {
  console.log(skipped.length === 0 ? '\nno test was skipped' : '\nskipped:')
  for (const { test, reason } of skipped) console.log(`﹣ ${test} # ${reason}`)
  if (failed.length > 0) console.log('failed (details above):')
  for (const test of failed) console.log(`✖ ${test}`)
  if (!ok) console.log(`the test runner ${why}`)
  for (const total of totals) console.log(`ℹ ${total}`)
}

async function main(temp) {
  const { only, table: everyFile, files: named, help: wantsHelp, 'no-coverage': noCoverage } = readOptions()
  if (wantsHelp) return console.log(help)
  const wanted = only === undefined ? Object.values(folders).flat() : folders[only]
  const files = named.length > 0 ? named : wanted.flatMap((folder) => filesBelow(folder, '.test.ts'))
  if (files.length === 0) throw new Failure(`no test files (*.test.ts) in ${wanted.join(', ')}`)
  const coverage = noCoverage || only === 'interop' || named.length > 0 ? undefined : join(temp, 'coverage')

  if (named.length === 0) {
    await step('set-up of the interop tests', async () => {
      // tsx, which the set-up needs, may be missing itself.
      if (!existsSync(join(root, 'node_modules/tsx'))) throw new Failure('run `npm ci` first')
      if (only === 'unit') process.env.SILVERBACK_NO_APT = '1'
      const { setupInterop } = await import('./setup-interop.mjs')
      await setupInterop()
    })
    await step('set-up of the API reference', async () => {
      const say = (text) => console.log(`  ${text}`)
      await installDocs(say).catch(({ message }) => say(`${message.trimEnd()}\n  its test will be skipped`))
    })
    await step('type check (tsc)', () => check('node_modules/.bin/tsc', ['-p', 'tsconfig.json']))
    await step('format and lint (biome)', () =>
      check('node_modules/.bin/biome', ['check', '--error-on-warnings', '--max-diagnostics=200']),
    )
    await step('build', () => check('npm', ['run', '--silent', 'build']))
    await step('package (publint, attw)', () => checkPackage(temp))
  }

  let result
  try {
    await step(`${files.length} test files`, async () => {
      if (coverage !== undefined) mkdirSync(coverage)
      result = await runTests(files, temp, coverage)
      if (!result.ok) throw new Failure('not all tests passed')
    })
    if (coverage !== undefined) await step('line coverage', () => gateCoverage(coverage, everyFile))
  } catch (error) {
    report(error)
  }
  if (result !== undefined) printTotals(result)
}

function report(error) {
  console.error(error instanceof Failure ? `\n${error.message}` : error)
  process.exitCode = 1
}

const temp = mkdtempSync(join(tmpdir(), 'silverback-test-'))
process.on('exit', () => rmSync(temp, { recursive: true, force: true }))
await main(temp).catch(report)
