// A program of this repository as its users start it: a process of its own.

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

/** A running program. */
export interface Program {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly exit: Promise<Exit>
  /** Resolves with the match once the standard output matches; rejects when the process ends before. */
  output(pattern: RegExp): Promise<RegExpMatchArray>
  /** Ends it like `kill`, and resolves when it is over. */
  terminate(): Promise<Exit>
  /** Ends it at once, whatever state it is in. */
  [Symbol.asyncDispose](): Promise<void>
}

const running = new Set<Program>()

/** Ends what still runs: a test that was given up does not get to do it itself. */
export async function endPrograms(): Promise<void> {
  await Promise.all([...running].map((program) => program[Symbol.asyncDispose]()))
}

/** Runs a TypeScript file, named from the root of the repository, with these arguments. */
export function runProgram(file: string, ...args: readonly string[]): Program {
  const child = spawn(process.execPath, ['--conditions=silverback:source', '--import=tsx', file, ...args], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
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

  const program: Program = {
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
  running.add(program)
  void exit.finally(() => running.delete(program))
  return program
}
