import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { fileURLToPath } from 'node:url'
import { pythonWith } from '../interop/peers.ts'

/** What figures depend on. */
export interface Environment {
  readonly machine: string
  readonly versions: readonly string[]
  /** Of the sources; with `+changes` when they were not committed. */
  readonly commit: string
  readonly date: string
}

const root = fileURLToPath(new URL('..', import.meta.url))

function outputOf(command: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 20_000 })
  return status === 0 ? stdout : undefined
}

function firstLine(command: string, ...args: string[]): string | undefined {
  return outputOf(command, ...args)?.split('\n')[0]
}

function installedVersion(name: string): string | undefined {
  try {
    const path = new URL(`node_modules/${name}/package.json`, import.meta.url)
    return `${name} ${JSON.parse(readFileSync(path, 'utf8')).version}`
  } catch {
    return undefined
  }
}

const packages = [
  'ws',
  'bufferutil',
  'socket.io',
  'websocket',
  'faye-websocket',
  '@trufflesuite/uws-js-unofficial',
  'bun',
  '@deno/linux-x64-glibc',
]
const debianPackages = ['golang-github-gorilla-websocket-dev', 'python3-websockets', 'python3-aiohttp']

/** Which sources a checkout has. The history is none: the benchmark itself writes it. */
export function commitOf(checkout: string): string {
  const commit = firstLine('git', '-C', checkout, 'rev-parse', '--short', 'HEAD')
  if (commit === undefined) return 'unknown'
  const sources = ['src', 'bench', ':!bench/history.jsonl']
  const changes = outputOf('git', '-C', checkout, 'status', '--porcelain', '--', ...sources)
  return changes === '' ? commit : `${commit}+changes`
}

export function describeEnvironment(): Environment {
  const cores = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  const python = pythonWith('websockets')
  const versions = [
    `Node ${process.version.slice(1)}`,
    ...packages.map(installedVersion),
    firstLine('go', 'version')?.replace(/^go version go(\S+).*/, 'Go $1'),
    python && firstLine(python, '--version'),
    ...debianPackages.map((name) => firstLine('dpkg-query', '-W', name)?.replace('\t', ' ')),
  ]
  return {
    machine: `${cores.length} cores (${cores[0]?.model.trim()}), ${memory} GiB, ${type()} ${release().split('.', 2).join('.')}`,
    versions: versions.filter((version) => version !== undefined),
    commit: commitOf(root),
    date: new Date().toISOString().slice(0, 10),
  }
}
