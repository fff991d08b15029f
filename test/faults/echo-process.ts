// The echo server as a process of its own, which can be stopped, and run out of files.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dial, type LogEntry, reconnect } from 'silverback'
import { root } from '../repo.ts'

/** The echo server in a process that may open so many files. */
export class EchoChild implements AsyncDisposable {
  readonly #child: ChildProcess
  #output = ''
  #wake: () => void = () => {}
  #over = false
  /** One that is stopped would outlive us, and never know. */
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
    this.#child.once('close', () => {
      process.off('exit', this.#kill)
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

/** What a long sleep of a server has come to. */
export interface SleepResult {
  /** Who waited was served with what it had sent meanwhile, and is connected still. */
  readonly waited: boolean
  /** What the log of the client said that did not wait. */
  readonly log: readonly string[]
}

/** Stops a server for so many seconds, with one client that waits, and one that does not. */
export async function sleepFor(
  seconds: number,
  onStop: (pid: number | undefined) => void = () => {},
): Promise<SleepResult> {
  await using child = new EchoChild(1024)
  const url = await child.url()
  const entries: LogEntry[] = []
  const patient = await dial(url, { limits: { pingInterval: 0 } })
  const hasty = { pingInterval: 1_000, pongTimeout: 1_000, handshakeTimeout: 2_000, closeTimeout: 1_000 }
  const log = (entry: LogEntry): void => void entries.push(entry)
  let times = 0
  const coming = (async () => {
    for await (const conn of reconnect(url, {
      dial: { limits: hasty, log },
      minDelay: 100,
      maxDelay: 1_000,
    })) {
      conn.send('hello')
      assert.equal(await conn.read(), 'hello')
      if (++times === 2) void conn.close()
      await conn.closed
    }
  })()
  while (times === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  child.signal('SIGSTOP')
  onStop(child.pid)
  patient.send('meanwhile')
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
  child.signal('SIGCONT')
  const waited = (await patient.read()) === 'meanwhile'
  await coming
  // Awake for longer than the server's time for a pong.
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const open = patient.state === 'open'
  await patient.close()
  return { waited: waited && open, log: entries.map(({ level, message }) => `${level} ${message}`) }
}
