// The demo as its users start it: a process of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How a process ended, and all it wrote. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A running command line of the demo. */
export interface DemoProcess {
  readonly child: ChildProcess
  readonly exit: Promise<Exit>
  /** Resolves with the match once the standard output matches; rejects when the process ends before. */
  output(pattern: RegExp): Promise<RegExpMatchArray>
}

const main = fileURLToPath(new URL('../apps/demo/main.ts', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))

/** Runs the demo with these arguments. */
export function runDemo(...args: string[]): DemoProcess {
  const child = spawn(process.execPath, ['--conditions=silverback:source', '--import=tsx', main, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
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
        () => reject(new Error(`the demo ended without printing ${pattern}\n${stdout}${stderr}`)),
        reject,
      )
    })

  return { child, exit, output }
}

/** Runs the demo on a free port and waits until it serves. */
export async function startDemo(...args: string[]): Promise<DemoProcess & { readonly url: string }> {
  const demo = runDemo('--port', '0', ...args)
  const [, url = ''] = await demo.output(/ is at (\S+)/)
  return { ...demo, url }
}

/** Ends a demo process whatever state it is in. */
export async function killDemo({ child, exit }: DemoProcess): Promise<void> {
  child.kill('SIGKILL')
  await exit
}
