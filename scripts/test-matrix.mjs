// `npm run test:matrix`: the tests on every runtime that is promised, one runtime after another, each test file in a
// process of its own. What is known to fail stands in docs/runtimes.md with its reason; both that something else fails,
// and that something listed there passes, is a failure here.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { parseArgs } from 'node:util'
import { compare, judgeRun, knownFailures, resultsTable, withResults } from './matrix-results.mjs'
import { installPackages } from './packages.mjs'
import { filesBelow, root, run } from './run.mjs'

const folder = 'tools/matrix'
const page = join(root, 'docs/runtimes.md')

/** What runs on any runtime that has Node's modules. */
const core = [
  'src/wire',
  'src/session',
  'src/protocol',
  'src/protocol.test.ts',
  'src/conn',
  'src/server',
  'src/client',
]
const everything = ['src', 'test']

function binary(...names) {
  return join(root, folder, 'node_modules', ...names)
}

function node(major) {
  const path = binary(`node-${major}-${process.platform}-${process.arch}`, 'bin/node')
  return {
    name: `Node ${major}`,
    path,
    folders: everything,
    version: ['--version'],
    args: (file, report) => [
      '--conditions=silverback:source',
      '--import=tsx',
      '--test-reporter=junit',
      `--test-reporter-destination=${report}`,
      file,
    ],
  }
}

const runtimes = [
  ...[20, 22, 24, 26].map(node),
  {
    name: 'Bun',
    path: binary(
      `@oven/bun-${process.platform}-${process.arch === 'arm64' ? 'aarch64' : process.arch}/bin/bun`,
    ),
    folders: core,
    version: ['--version'],
    args: (file, report) => [
      'test',
      '--conditions=silverback:source',
      // Node's tests have no time limit of their own.
      '--timeout=60000',
      '--reporter=junit',
      `--reporter-outfile=${report}`,
      `./${file}`,
    ],
  },
  {
    name: 'Deno',
    path: binary(
      `@deno/${process.platform}-${process.arch}${process.platform === 'linux' ? '-glibc' : ''}/deno`,
    ),
    folders: core,
    version: ['eval', 'console.log(Deno.version.deno)'],
    args: (file, report) => [
      'test',
      '--allow-all',
      '--no-check',
      '--conditions=silverback:source',
      `--junit-path=${report}`,
      file,
    ],
  },
]

const help = `Usage: npm run test:matrix -- [options] [files]

Runs the tests of src/ and test/ on Node 20, 22, 24 and 26, and those of src/ that need nothing of Node's own tools on
Bun and Deno. The runtimes are npm packages, installed in ${folder} (about 1 GB) by this command.

  --only NAME[,NAME]  only these: ${runtimes.map(({ name }) => id(name)).join(', ')}
  --jobs N            how many test files at a time (default 2)
  --seconds N         how long one test file may take (default 300)
  --write             put the results into docs/runtimes.md, of each runtime on which all is as it is listed there
  --help              this text

With files (*.test.ts) only these are run. What is known to fail is listed in docs/runtimes.md. Ends with 1 when
anything else fails, when something listed there passes, or when a runtime is missing.`

/** `Node 22` as an option has it. */
function id(name) {
  return name.toLowerCase().replace(' ', '')
}

function whole(name, text) {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} takes a number from 1 on, not '${text}'`)
  return Number(text)
}

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      jobs: { type: 'string', default: '2' },
      seconds: { type: 'string', default: '300' },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const names = values.only?.split(',')
  for (const name of names ?? []) {
    if (!runtimes.some((runtime) => id(runtime.name) === name)) throw new Error(`--only knows no '${name}'`)
  }
  const chosen = runtimes.filter(({ name }) => names?.includes(id(name)) ?? true)
  const files = positionals.map((file) => posix.normalize(file.replaceAll('\\', '/')))
  for (const file of files) {
    if (!file.endsWith('.test.ts') || !existsSync(join(root, file)))
      throw new Error(`'${file}' is not a test file (*.test.ts) of this repository`)
    if (!chosen.some((runtime) => testFiles(runtime).includes(file)))
      throw new Error(`'${file}' is run by none of ${chosen.map(({ name }) => name).join(', ')}`)
  }
  if (values.write && files.length > 0) throw new Error('--write needs all files')
  return {
    ...values,
    files,
    jobs: whole('jobs', values.jobs),
    seconds: whole('seconds', values.seconds),
    chosen,
  }
}

/** All test files that are run on a runtime. */
function testFiles({ folders }) {
  return [...new Set(folders.flatMap((place) => filesBelow(place, '.test.ts')))]
}

/** Runs one test file; says what failed in it, and how many tests there were. */
async function runFile(runtime, file, temp, seconds) {
  const report = join(temp, `${file.replaceAll('/', '+')}.xml`)
  const path = `${join(runtime.path, '..')}:${process.env.PATH}`
  const { NODE_V8_COVERAGE: _, ...inherited } = process.env
  const env = { ...inherited, PATH: path, SILVERBACK_NO_APT: '1', NO_COLOR: '1' }
  const { output, ...end } = await run(runtime.path, runtime.args(file, report), { seconds, env })
  const result = judgeRun(end, existsSync(report) ? readFileSync(report, 'utf8') : undefined)
  rmSync(report, { force: true })
  return { file, ...result, output }
}

async function runRuntime(runtime, { files, jobs, seconds }, known) {
  const { ok, stdout } = await run(runtime.path, runtime.version, { seconds: 30 })
  if (!ok) {
    console.log(`✖ ${runtime.name} is not there: ${runtime.path}`)
    return { ...runtime, missing: true, problems: 1 }
  }
  const version = stdout.trim().replace(/^v/, '')
  const wanted = testFiles(runtime).filter((file) => files.length === 0 || files.includes(file))
  console.log(`\n▶ ${runtime.name} (${version}), ${wanted.length} test files`)
  const started = performance.now()
  const temp = mkdtempSync(join(tmpdir(), 'silverback-matrix-'))
  // A signal ends the process before any `finally`.
  const removeTemp = () => rmSync(temp, { recursive: true, force: true })
  process.once('exit', removeTemp)
  const totals = { files: 0, tests: 0, skipped: 0, known: 0, problems: 0 }
  const work = async (queue) => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runFile(runtime, file, temp, seconds)
      const listed = known.filter((row) => row.file === file && row.runtimes.includes(runtime.name))
      const { unexpected, passing } = compare(result.failed, listed)
      totals.files++
      totals.tests += result.tests
      totals.skipped += result.skipped
      totals.known += result.failed.length - unexpected.length
      totals.problems += unexpected.length + passing.length
      for (const { title, message } of unexpected) {
        console.log(`✖ ${runtime.name}: ${file}${title === '' ? '' : ` "${title}"`}\n    ${message}`)
      }
      if (unexpected.some(({ title }) => title === ''))
        console.log(result.output.slice(-2000).replace(/^/gm, '    '))
      for (const { title } of passing) {
        const what = title === '' ? 'passes' : `"${title}" passes`
        console.log(`✖ ${runtime.name}: ${file} ${what}, and docs/runtimes.md says that it fails`)
      }
      if (process.stdout.isTTY) process.stdout.write(`  ${totals.files} of ${wanted.length} files\r`)
      else if (totals.files % 20 === 0) console.log(`  ${totals.files} of ${wanted.length} files`)
    }
  }
  const queue = [...wanted]
  try {
    await Promise.all(Array.from({ length: jobs }, () => work(queue)))
  } finally {
    removeTemp()
    process.off('exit', removeTemp)
  }
  const taken = Math.round((performance.now() - started) / 1000)
  console.log(`${totals.problems === 0 ? '✔' : '✖'} ${runtime.name}: ${totals.tests} tests in ${taken} s`)
  return { name: runtime.name, version, ...totals, seconds: taken }
}

async function main() {
  const options = readOptions()
  if (options.help) return console.log(help)
  console.log('▶ the runtimes')
  await installPackages(folder, (text) => console.log(`  ${text}`))
  // Some documents show code beside that of others.
  await installPackages('interop', (text) => console.log(`  ${text}`))
  const known = knownFailures(readFileSync(page, 'utf8'))
  const results = []
  for (const runtime of options.chosen) results.push(await runRuntime(runtime, options, known))
  console.log(`\n${resultsTable(results)}`)
  const good = results.filter(({ problems }) => problems === 0)
  if (good.length < results.length) process.exitCode = 1
  if (options.write && good.length > 0) writeFileSync(page, withResults(readFileSync(page, 'utf8'), good))
}

await main().catch((error) => {
  console.error(`${error.message}\n\n${help}`)
  process.exitCode = 2
})
