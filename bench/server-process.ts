import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { type CpuUse, cpuOf, memoryOf } from './usage.ts'

/** A program and its arguments, and what its environment has besides ours. */
export interface Command {
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

const startTimeout = 20_000
const running = new Set<ChildProcess>()
// Nothing that was started here outlives us.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A server, or a client that is measured, in a process of its own, alone on its core where that can be had. */
export class ServerProcess {
  readonly port: number
  /** The core that it has for itself. */
  readonly core: number | undefined
  readonly #child: ChildProcess
  readonly #lines: Interface

  private constructor(child: ChildProcess, lines: Interface, port: number, core: number | undefined) {
    this.#child = child
    this.#lines = lines
    this.port = port
    this.core = core
  }

  /** @throws Error with what the program wrote, when it does not tell its port */
  static async start({ args, env }: Command, core: number | undefined): Promise<ServerProcess> {
    const [program, ...rest] = core === undefined ? args : ['taskset', '-c', String(core), ...args]
    const child = spawn(program as string, rest, { env: { ...process.env, ...env }, stdio: 'pipe' })
    running.add(child)
    child.once('exit', () => running.delete(child))
    child.stdin?.on('error', () => {})
    let complaint = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-2000)
    })
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
    try {
      const { port } = (await nextAnswer(child, lines)) as { port: number }
      return new ServerProcess(child, lines, port, core)
    } catch (error) {
      child.kill('SIGKILL')
      throw new Error(`${args.join(' ')} did not start: ${(error as Error).message}\n${complaint}`)
    }
  }

  get cpu(): CpuUse {
    return cpuOf(this.#child.pid as number)
  }

  get memory(): { readonly now: number; readonly peak: number } {
    return memoryOf(this.#child.pid as number)
  }

  /**
   * `gc` collects garbage, `watch` starts to measure the event loop's delay, `delay` tells it; `profile` starts to find out
   * what the time goes to, `shares` tells it, of servers on Node.
   */
  async ask(question: 'gc' | 'watch' | 'delay' | 'profile' | 'shares'): Promise<unknown> {
    this.#child.stdin?.write(`${question}\n`)
    return nextAnswer(this.#child, this.#lines)
  }

  async stop(): Promise<void> {
    const { exitCode, signalCode } = this.#child
    if (exitCode !== null || signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}

async function nextAnswer(child: ChildProcess, lines: Interface): Promise<unknown> {
  const stop = new AbortController()
  const { signal } = stop
  const late = setTimeout(() => stop.abort(new Error('it does not answer')), startTimeout)
  try {
    const ended = once(child, 'exit', { signal }).then(([code, name]) => {
      throw new Error(`it ended with ${name ?? code}`)
    })
    const [line] = await Promise.race([once(lines, 'line', { signal }), ended])
    return JSON.parse(line as string)
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    clearTimeout(late)
    stop.abort()
  }
}
