// What every example needs and none is about: a command line, a plain word when it cannot start, and an end.

import { relative } from 'node:path'
import { parseArgs } from 'node:util'

/**
 * Reads `--name value` for every name in `defaults`, and the words beside them. `--help` prints the usage and ends the
 * process; so does a mistake.
 *
 * @param about - one sentence: what the program does
 * @param words - what else belongs on the command line, such as `FILE`
 */
export function commandLine<Name extends string>(
  about: string,
  defaults: Readonly<Record<Name, string>>,
  words = '',
): { readonly values: Readonly<Record<Name, string>>; readonly positionals: readonly string[] } {
  const program = `node --import tsx ${relative('', process.argv[1] ?? '')}`
  const names = Object.keys(defaults) as Name[]
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: words !== '',
      options: {
        help: { type: 'boolean' },
        ...Object.fromEntries(names.map((name) => [name, { type: 'string', default: defaults[name] }])),
      },
    })
    if (!('help' in values)) return { values: values as Record<Name, string>, positionals }
  } catch (error) {
    console.error(`${(error as Error).message}\nTry: ${program} --help`)
    process.exit(2)
  }
  const options = names.map((name) => `  --${name} ${defaults[name]}`).join('\n')
  console.log(
    `${about}\n\nUsage: ${program} [options]${words && ` ${words}`}\n\nThe options and their defaults:\n${options}`,
  )
  process.exit(0)
}

/** For what went wrong before anything ran, such as a port that is taken: one line instead of a stack trace. */
export function giveUp(error: Error): never {
  console.error(error.message)
  process.exit(1)
}

/**
 * Calls `stop` at Ctrl-C or `kill`. It should leave nothing that keeps the process alive, which then ends by itself. A
 * second Ctrl-C finds no listener any more, and so ends the process there and then.
 */
export function onStop(stop: () => unknown): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
}
