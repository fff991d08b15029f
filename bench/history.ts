// The micro-benchmarks' figures of every run, one line of JSON each, so that a change shows.
import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Environment } from './environment.ts'
import { builtEntry } from './servers.ts'
import { formatNumber } from './stats.ts'
import type { Table } from './tables.ts'

/** One run. */
export interface Micros {
  readonly date: string
  readonly commit: string
  readonly node: string
  readonly machine: string
  /** Nanoseconds for one call. */
  readonly nanoseconds: Readonly<Record<string, number>>
}

const history = fileURLToPath(new URL('history.jsonl', import.meta.url))

/** All runs, the oldest first. */
export function readHistory(text: string): readonly Micros[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Micros)
}

export function lastMicros(): Micros | undefined {
  return existsSync(history) ? readHistory(readFileSync(history, 'utf8')).at(-1) : undefined
}

/** Runs them on a build. @throws Error with what they wrote */
export function runMicros(entry: string, environment: Environment, core: number | undefined): Micros {
  const script = fileURLToPath(new URL('micro.mjs', import.meta.url))
  const args = [process.execPath, script, dirname(entry)]
  const [program, ...rest] = core === undefined ? args : ['taskset', '-c', String(core), ...args]
  const { status, stdout, stderr } = spawnSync(program as string, rest, {
    encoding: 'utf8',
    timeout: 120_000,
  })
  if (status !== 0) throw new Error(`the micro-benchmarks failed:\n${stderr}`)
  const { date, commit, machine } = environment
  const measured = Object.entries(JSON.parse(stdout) as Record<string, number>)
  const nanoseconds = Object.fromEntries(
    measured.map(([name, value]) => [name, Number(value.toPrecision(3))]),
  )
  return { date, commit, node: process.version.slice(1), machine, nanoseconds }
}

/** Adds a run to the history, which tells of this checkout's own build alone. */
export function keepMicros(run: Micros, entry: string, file: string = history): void {
  if (entry === builtEntry) appendFileSync(file, `${JSON.stringify(run)}\n`)
}

/** What each takes, and how that has changed since an earlier run. */
export function microTable(run: Micros, before: Micros | undefined): Table {
  const rows = Object.entries(run.nanoseconds).map(([name, now]) => {
    const then = before?.nanoseconds[name]
    const change =
      then === undefined ? '' : `${now >= then ? '+' : ''}${Math.round((now / then - 1) * 100)} %`
    return before === undefined ? [name, formatNumber(now)] : [name, formatNumber(now), change]
  })
  const heads = ['part', 'ns']
  return [before === undefined ? heads : [...heads, `since ${before.commit}`], ...rows]
}
