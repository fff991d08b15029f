// Runs a command with a time limit. Nothing outlives it: the command leads a process group of its own, which is
// ended as a whole on a time-out and when this process is told to stop.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's folder, without a slash at the end. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '')

/** The files below a folder whose name ends so, as paths from {@link root} with `/`; without installed packages. */
export function filesBelow(folder, ends) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules' && !name.startsWith('.'))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      return entry.isDirectory() ? filesBelow(path, ends) : path.endsWith(ends) ? [path] : []
    })
    .sort()
}

const running = new Set()

/** Ends a child with all that it started; a child that is gone already is no error. */
function end(child, signal) {
  try {
    process.kill(-child.pid, signal)
  } catch {
    child.kill(signal)
  }
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** Who ends this process ends what it has started. */
function stop(signal) {
  for (const child of running) end(child, signal)
  process.exit(128 + constants.signals[signal])
}

function started(child) {
  if (running.size === 0) for (const signal of signals) process.once(signal, stop)
  running.add(child)
}

function ended(child) {
  running.delete(child)
  if (running.size === 0) for (const signal of signals) process.off(signal, stop)
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ seconds: number, cwd?: string, env?: NodeJS.ProcessEnv, show?: boolean }} options
 *   `show` passes the output through at once; otherwise it is collected and returned.
 * @returns {Promise<{ ok: boolean, why: string, late: boolean, stdout: string, output: string }>} `late` when its time was
 *   over; `output` is stdout and stderr
 */
export function run(command, args, { seconds, cwd = root, env = process.env, show = false }) {
  return new Promise((resolve) => {
    const stdio = show ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe']
    const child = spawn(command, args, { cwd, env, stdio, detached: process.platform !== 'win32' })
    started(child)
    let stdout = ''
    let output = ''
    let late = false
    let kill
    const timer = setTimeout(() => {
      late = true
      end(child, 'SIGTERM')
      kill = setTimeout(() => end(child, 'SIGKILL'), 5000)
    }, seconds * 1000)
    const done = (why) => {
      clearTimeout(timer)
      clearTimeout(kill)
      ended(child)
      const reason = late ? `took longer than ${seconds} s` : why
      resolve({ ok: reason === '', why: reason, late, stdout, output })
    }
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text) => {
        output += text
        if (stream === child.stdout) stdout += text
      })
    }
    child.once('error', (error) => done(`could not be started: ${error.message}`))
    // What a command leaves running must not hold a port, or our pipes, beyond it.
    child.once('exit', () => end(child, 'SIGKILL'))
    child.once('close', (code, signal) => {
      done(code === 0 ? '' : signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`)
    })
  })
}
