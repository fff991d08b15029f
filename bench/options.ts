import { accessSync, constants } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'

export const help = `Usage: npm run bench -- [options]

Measures Silverback against other WebSocket servers: each in a process of its own, in turns. Without options it
measures everything, which takes hours, and writes docs/performance.md. Ends with 1 when a server that was named, or any
of Silverback's, is left out.

  --workload NAMES     only these, separated by commas (--list shows them)
  --server NAMES       only these
  --targets            the workloads that there are targets for, Silverback and ws alone
  --curves             how cost grows with size, connections, messages in flight, audience: of silverback, ws, ceiling
  --profile            where the time of servers goes, in workloads with targets: of silverback, ws, ceiling
  --micro              the parts of the engine by themselves; kept in bench/history.jsonl, but not with --entry
  --rounds N           how often each is measured (default 5, with --quick 3)
  --quick              shorter rounds: good for a look, not for a claim; marked with * wherever they are shown
  --write              put what is measured into docs/performance.md; what is not measured, or left out, stays as it is
  --json FILE          write what is measured to a file, in a folder that is there
  --before DIR         also measure the build (dist) of another checkout, as the server 'before'
  --entry FILE         measure this build of Silverback instead of dist/index.js
  --check              only tell what is wrong with the options
  --list               print the names of workloads and servers
  --help               print this`

/** What can be measured. */
export type Part = 'workloads' | 'curves' | 'profile' | 'micro'

export interface BenchOptions {
  readonly workloads: readonly string[] | undefined
  readonly servers: readonly string[] | undefined
  readonly rounds: number
  readonly quick: boolean
  readonly before: string | undefined
  readonly entry: string | undefined
  readonly json: string | undefined
  readonly targets: boolean
  readonly parts: readonly Part[]
  readonly write: boolean
  readonly check: boolean
  readonly list: boolean
  readonly help: boolean
}

/** The user's mistake: only its message is printed. */
export class OptionError extends Error {}

/** @throws OptionError that names the option */
export function readOptions(args: readonly string[]): BenchOptions {
  const values = parse(args)
  if (values.write && (values.before ?? values.entry) !== undefined)
    throw new OptionError('--write is for the build of this checkout alone: not with --before or --entry')
  if (values.json !== undefined) checkFolder(values.json)
  return {
    workloads: names(values.workload, '--workload'),
    servers: names(values.server, '--server'),
    rounds: readRounds(values.rounds, values.quick ? 3 : 5),
    quick: values.quick,
    before: values.before,
    entry: values.entry,
    json: values.json,
    targets: values.targets,
    parts: readParts(values),
    write: values.write || args.length === 0,
    check: values.check,
    list: values.list,
    help: values.help,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        workload: { type: 'string', multiple: true },
        server: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        quick: { type: 'boolean', default: false },
        before: { type: 'string' },
        entry: { type: 'string' },
        json: { type: 'string' },
        targets: { type: 'boolean', default: false },
        curves: { type: 'boolean', default: false },
        profile: { type: 'boolean', default: false },
        micro: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
        check: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new OptionError((error as Error).message)
  }
}

/** Everything, unless the options name a part. */
function readParts(values: ReturnType<typeof parse>): readonly Part[] {
  const { curves, profile, micro, targets, workload, server } = values
  const named: Part[] = []
  if (targets || (workload !== undefined && !profile)) named.push('workloads')
  if (curves) named.push('curves')
  if (profile) named.push('profile')
  if (micro) named.push('micro')
  if (named.length > 0) return named
  return server === undefined ? ['workloads', 'curves', 'profile', 'micro'] : ['workloads']
}

function names(given: readonly string[] | undefined, option: string): readonly string[] | undefined {
  const all = given?.flatMap((list) => list.split(',')).filter((name) => name !== '')
  if (all?.length === 0) throw new OptionError(`${option} takes names, separated by commas`)
  return all
}

/** Before all is measured, and not after it. */
function checkFolder(file: string): void {
  try {
    accessSync(dirname(file), constants.W_OK)
  } catch (error) {
    throw new OptionError(`--json: ${(error as Error).message}`)
  }
}

function readRounds(given: string | undefined, usual: number): number {
  if (given === undefined) return usual
  const rounds = Number(given)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) {
    throw new OptionError(`--rounds takes a whole number from 1 to 100, not '${given}'`)
  }
  return rounds
}

/** The command that was given, to be run again. */
export function commandOf(args: readonly string[]): string {
  const quoted = args.map((arg) => (/^[\w./,=-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`))
  return ['npm run bench', ...(args.length > 0 ? ['--', ...quoted] : [])].join(' ')
}

/** Those of the names, in the order of the list. @throws OptionError for a name that is not there */
export function choose<T extends { readonly name: string }>(
  all: readonly T[],
  wanted: readonly string[] | undefined,
  option: string,
): readonly T[] {
  const known = all.map(({ name }) => name)
  const unknown = wanted?.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new OptionError(`${option}: there is no '${unknown}', only ${known.join(', ')}`)
  }
  return wanted === undefined ? all : all.filter(({ name }) => wanted.includes(name))
}
