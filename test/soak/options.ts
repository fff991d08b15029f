import { parseArgs } from 'node:util'

export const usage = `Usage: npm run soak -- [options]

A server and its clients, a process each, for as long as you say: echoes, streams, broadcasts and compression, clients
that come and go, that are slow, and that hang up. Prints the memory, the event loop's delay and the open files of both
over time; fails when something grows, or when something happens that should not.

  --minutes N      how long (default 20)
  --connections N  how many at a time (default 2000)
  --seed N         what the clients do (default: random)
  --out FOLDER     where the charts and the table are written (default: nowhere)
  --plant WHAT     proves that it would fail: memory, buffers, files, errors or silence
  --help           this text

Growth is the slope of the last two thirds of the samples (the median of those of all pairs), times their time. It may be
10 % of the heap, or 6 MiB; 25 % of the memory outside, or 12 MiB; 20 % of RSS, or 32 MiB; 10 % of the open files, or 25;
half of the delay, or 150 ms: whichever is more. When all clients are gone, files and connections must be gone, and
24 MiB at most may be kept. Work of every kind must go on: echoes, streams, news, all ways to leave. With less than 12 samples
there is no verdict, and the end is 1.

Ctrl-C ends it early, with a verdict on what there is; a second one ends it at once.
`

const plants = ['memory', 'buffers', 'files', 'errors', 'silence'] as const
export type Plant = (typeof plants)[number]

export interface SoakOptions {
  readonly minutes: number
  readonly connections: number
  readonly seed: number
  readonly out: string | undefined
  readonly plant: Plant | undefined
}

/** The command that does the same again. */
export function commandOf({ minutes, connections, seed, out, plant }: SoakOptions): string {
  const more = `${out === undefined ? '' : ` --out ${out}`}${plant === undefined ? '' : ` --plant ${plant}`}`
  return `npm run soak -- --minutes ${minutes} --connections ${connections} --seed ${seed}${more}`
}

/** @throws Error that says what is wrong; returns `undefined` for `--help` */
export function readOptions(args: readonly string[]): SoakOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '20' },
      connections: { type: 'string', default: '2000' },
      seed: { type: 'string' },
      out: { type: 'string' },
      plant: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const number = (name: string, text: string, least: number, whole: boolean): number => {
    const value = Number(text)
    if (text === '' || !Number.isFinite(value) || value < least || (whole && !Number.isInteger(value)))
      throw new Error(`--${name} must be a ${whole ? 'whole ' : ''}number from ${least} on, not "${text}"`)
    return value
  }
  const plant = plants.find((name) => name === values.plant)
  if (values.plant !== undefined && plant === undefined)
    throw new Error(`--plant takes ${plants.join(', ')}, not "${values.plant}"`)
  return {
    minutes: number('minutes', values.minutes, 0.1, false),
    connections: number('connections', values.connections, 1, true),
    seed:
      values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : number('seed', values.seed, 0, true),
    out: values.out,
    plant,
  }
}
