// The echo server as a process of its own, which can be stopped, and run out of files.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { root } from '../repo.ts'

const running = new Set<EchoChild>()

/** Ends all that still run; resolves when they have gone. */
export async function endEchoProcesses(): Promise<void> {
  await Promise.all([...running].map((child) => child[Symbol.asyncDispose]()))
}

/** The echo server in a process that may open so many files. */
export class EchoChild implements AsyncDisposable {
  readonly #child: ChildProcess
  #output = ''
  #wake: () => void = () => {}
  #over = false
  /** One that is stopped would outlive us, and never know. For an exit that waits for nothing. */
  readonly #kill = (): void => void this.#child.kill('SIGKILL')

  constructor(files: number) {
    const node = [
      process.execPath,
      '--conditions=silverback:source',
      '--import=tsx',
      'test/faults/echo-child.ts',
    ]
    // Coverage would be written by a process that has no files.
    const { NODE_V8_COVERAGE: _, ...env } = process.env
    this.#child = spawn('sh', ['-c', `ulimit -n ${files}; exec "$0" "$@"`, ...node], {
      cwd: root,
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text
      this.#wake()
    })
    process.once('exit', this.#kill)
    running.add(this)
    this.#child.once('close', () => {
      process.off('exit', this.#kill)
      running.delete(this)
      this.#over = true
      this.#wake()
    })
  }

  /** Waits for what it prints, from here on. */
  async says(pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const match = pattern.exec(this.#output)
      if (match !== null) {
        this.#output = this.#output.slice(match.index + match[0].length)
        return match
      }
      assert.ok(!this.#over, `ended without ${pattern}: ${this.#output}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async url(): Promise<string> {
    return (await this.says(/listening at (\S+)\n/))[1] ?? ''
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  order(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await closed
  }
}
