// `npm run bench`: installs the servers that are measured, builds, and runs the benchmark on one core, so that the
// servers have the other for themselves. `npm run bench -- --help` tells the options.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { installPackages } from './packages.mjs'
import { root, run } from './run.mjs'

const say = (text) => console.error(text)
const args = process.argv.slice(2)
const onlyTells = args.includes('--help') || args.includes('--list')

async function prepare() {
  // Without its peers the benchmark still measures Silverback and the ceiling, and says what it leaves out.
  await installPackages('bench', say).catch(({ message }) =>
    say(`${message.trimEnd()}\nThe benchmark goes on without.`),
  )
  const { ok, output, why } = await run('npm', ['run', '--silent', 'build'], { seconds: 180 })
  if (!ok) throw new Error(`npm run build ${why}\n${output}`)
}

async function pinned() {
  const { ok } = await run('taskset', ['-c', '1', 'true'], { seconds: 10 })
  return ok && availableParallelism() > 1
}

const program = [process.execPath, '--import', 'tsx', join(root, 'bench/main.ts')]

/** A mistake is told before anything is installed or built. */
async function isMistaken() {
  const [node, ...rest] = program
  return !(await run(node, [...rest, '--check', ...args], { seconds: 60, show: true })).ok
}

if (!onlyTells && (await isMistaken())) process.exit(2)
if (!onlyTells) await prepare()
const canPin = await pinned()
if (!canPin && !onlyTells)
  say('No taskset, or one core: servers and load share cores, so the figures are less sharp.')
const main = [...program, ...args]
const [command, ...rest] = canPin ? ['taskset', '-c', '0', ...main] : main
const env = { ...process.env, ...(canPin && { SILVERBACK_BENCH_CORE: '1' }) }
const { ok } = await run(command, rest, { seconds: 12 * 3600, env, show: true })
if (!ok) process.exitCode = 1
