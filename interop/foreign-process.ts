// Programs that are not ours, as processes of their own.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

/** Long after anything that works. */
const patience = 20_000

const running = new Set<ForeignProcess>()

function endAll(): void {
  for (const foreign of running) foreign.signal('SIGTERM')
}

// A test file that the runner gives up is told so by SIGTERM, and has no `after` any more.
function exit(): void {
  process.exit(143)
}

function started(foreign: ForeignProcess): void {
  if (running.size === 0) process.once('exit', endAll).once('SIGTERM', exit)
  running.add(foreign)
}

function ended(foreign: ForeignProcess): void {
  running.delete(foreign)
  if (running.size === 0) process.off('exit', endAll).off('SIGTERM', exit)
}

/** Ends what still runs: a test that was given up does not get to do it itself. For `after`. */
export async function endForeignProcesses(): Promise<void> {
  await Promise.all([...running].map((process) => process[Symbol.asyncDispose]()))
}

/** A process that ends with its block. */
export class ForeignProcess implements AsyncDisposable {
  /** Resolves when it is gone. */
  readonly exit: Promise<void>
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  readonly #watchers = new Set<() => void>()
  #output = ''

  constructor(command: string, args: readonly string[]) {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
    }
    this.exit = new Promise((resolve) => {
      child.once('error', (error) => this.#hear(String(error)))
      child.once('close', () => {
        ended(this)
        resolve()
        this.#hear('')
      })
    })
    started(this)
  }

  #hear(text: string): void {
    this.#output += text
    for (const watcher of this.#watchers) watcher()
  }

  get isRunning(): boolean {
    return running.has(this)
  }

  /** All that it has printed. */
  get output(): string {
    return this.#output
  }

  /** Resolves once what it prints passes; rejects when it ends before, or takes long. */
  async printed(passes: (output: string) => boolean): Promise<void> {
    let check: () => void = () => {}
    let timer: NodeJS.Timeout | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        const fail = (how: string): void =>
          reject(new Error(`${how} without printing what was awaited:\n${this.#output.slice(-4000)}`))
        check = () => {
          if (passes(this.#output)) resolve()
          else if (!this.isRunning) fail('ended')
        }
        timer = setTimeout(() => fail('is still there'), patience)
        this.#watchers.add(check)
        check()
      })
    } finally {
      this.#watchers.delete(check)
      clearTimeout(timer)
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Kills what does the work, without a chance to clear up: its children where it has some (Linux), else itself. */
  crash(): void {
    const { pid } = this.#child
    let children: string[] = []
    try {
      children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
        .split(' ')
        .filter((child) => child !== '')
    } catch {
      // Not Linux, or it is gone.
    }
    if (children.length === 0) this.#child.kill('SIGKILL')
    for (const child of children) process.kill(Number(child), 'SIGKILL')
  }

  /** Ends it: at once, but so that it can end its own children. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await this.exit
    clearTimeout(timer)
  }
}

const given = new Set<number>()

/**
 * A port that nobody listens on, below those that systems give out by themselves: what is free there stays free until
 * the server that it is for has taken it, however many tests look for one.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000)
    if (given.has(port)) continue
    given.add(port)
    const server = createServer().listen(port, '127.0.0.1')
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!free) continue
    server.close()
    await once(server, 'close')
    return port
  }
}

/** Whether somebody listens there. */
async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const connected = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.on('error', () => resolve(false))
  })
  socket.destroy()
  return connected
}

/** A server on a free port of 127.0.0.1. */
export class ForeignServer extends ForeignProcess {
  readonly port: number

  private constructor(command: string, args: readonly string[], port: number) {
    super(command, args)
    this.port = port
  }

  /**
   * Resolves when the server takes connections.
   *
   * @param argsFor - its arguments for a port
   * @throws Error with what it printed, when it ends instead
   */
  static async start(command: string, argsFor: (port: number) => readonly string[]): Promise<ForeignServer> {
    let output = ''
    // Somebody else may still be quicker.
    for (let attempt = 0; attempt < 3; attempt++) {
      const port = await freePort()
      const server = new ForeignServer(command, argsFor(port), port)
      if (await server.#isUp()) return server
      output = server.output
      await server[Symbol.asyncDispose]()
    }
    throw new Error(`${command} did not come up:\n${output}`)
  }

  async #isUp(): Promise<boolean> {
    const late = performance.now() + patience
    while (this.isRunning && performance.now() < late) {
      // A process that ends was not the one that answered.
      if (await answers(this.port)) return this.isRunning
      await delay(5)
    }
    return false
  }
}
