// An example as its readers start it: a process of its own.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { root } from './repo.ts'

/** How a process ended, and what it wrote. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A running example. */
export interface Example {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly exit: Promise<Exit>
  /** Resolves with the match once the standard output matches; rejects when the process ends before. */
  output(pattern: RegExp): Promise<RegExpMatchArray>
  /** Ends it like `kill`, and resolves when it is over. */
  terminate(): Promise<Exit>
  /** Ends it at once, whatever state it is in. */
  [Symbol.asyncDispose](): Promise<void>
}

const running = new Set<Example>()

/** Ends what still runs: a test that was given up does not get to do it itself. */
export async function endExamples(): Promise<void> {
  await Promise.all([...running].map((example) => example[Symbol.asyncDispose]()))
}

/** Runs a file of `examples/` with these arguments. */
export function runExample(file: string, ...args: readonly string[]): Example {
  const child = spawn(
    process.execPath,
    ['--conditions=silverback:source', '--import=tsx', `examples/${file}`, ...args],
    { cwd: root, stdio: ['pipe', 'pipe', 'pipe'] },
  )
  let stdout = ''
  let stderr = ''
  const watchers = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    for (const check of watchers) check()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  // Writing to one that has ended is not what its exit is judged by.
  child.stdin.on('error', () => {})
  const exit = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })

  const output = (pattern: RegExp): Promise<RegExpMatchArray> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        const match = stdout.match(pattern)
        if (match === null) return
        watchers.delete(check)
        resolve(match)
      }
      watchers.add(check)
      check()
      exit.then(
        () => reject(new Error(`${file} ended without printing ${pattern}\n${stdout}${stderr}`)),
        reject,
      )
    })

  const example: Example = {
    child,
    exit,
    output,
    terminate() {
      child.kill('SIGTERM')
      return exit
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exit
    },
  }
  running.add(example)
  void exit.finally(() => running.delete(example))
  return example
}

/** Runs an example that serves, on a free port, and waits until it does. Its address ends without a slash. */
export async function startServer(
  file: string,
  ...args: readonly string[]
): Promise<Example & { readonly origin: string }> {
  const example = runExample(file, '--port', '0', ...args)
  const [, address = ''] = await example
    .output(/ is at (?:ws|http):\/\/(\S+?)\/\S*\s/)
    .catch(async (error) => {
      await example[Symbol.asyncDispose]()
      throw error
    })
  return { ...example, origin: `ws://${address}` }
}
