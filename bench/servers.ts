import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pythonWith } from '../interop/peers.ts'
import { gorillaServer } from './gorilla.ts'
import type { Command } from './server-process.ts'
import type { Workload } from './workloads.ts'

/** What is measured: a server, or for the workloads of clients a client. */
export interface Contestant {
  readonly name: string
  readonly title: string
  /** Whether it can do this at all. */
  can(workload: Workload): boolean
  /** How to start it; a text says why that cannot be. */
  command(settings: string): Command | string
  /** A protocol above WebSocket, which the load generator then speaks. */
  readonly dialect?: 'socket.io'
}

const folder = fileURLToPath(new URL('.', import.meta.url))
const file = (path: string): string => join(folder, path)

/** All get garbage collection on demand, which only the measuring of memory uses. */
const node = [process.execPath, '--expose-gc']

const onNode = (script: string, settings: string): string[] => [...node, file(script), settings]

function needs(packageName: string, command: () => Command): Command | string {
  const isThere = existsSync(file(`node_modules/${packageName}`))
  return isThere ? command() : `the package ${packageName} is not installed in bench/`
}

const isServer = ({ drive }: Workload): boolean => drive !== 'client'

function silverback(name: string, title: string, form: string, entry: string): Contestant {
  return {
    name,
    title,
    can: (workload) => isServer(workload) || form === 'callback',
    command(settings) {
      if (!existsSync(entry)) return `${entry} is not there: run \`npm run build\` first`
      const loader = entry.endsWith('.ts') ? ['--import', 'tsx'] : []
      const script =
        JSON.parse(settings).drive === 'client' ? 'clients/silverback.mjs' : 'servers/silverback.mjs'
      return { args: [...node, ...loader, file(script), entry, form, settings] }
    },
  }
}

function ws(name: string, title: string, env: Record<string, string>): Contestant {
  return {
    name,
    title,
    can: () => true,
    command: (settings) =>
      needs('ws', () => {
        const script = JSON.parse(settings).drive === 'client' ? 'clients/ws.mjs' : 'servers/ws.mjs'
        return { args: onNode(script, settings), env }
      }),
  }
}

const plainOnly = (workload: Workload): boolean => isServer(workload) && !workload.deflate && !workload.tls

// Where npm has put the programs of Bun and Deno; the install scripts, which would link them, are not run.
const bunPackage = `@oven/bun-${process.platform}-${process.arch === 'arm64' ? 'aarch64' : process.arch}`
const denoPackage = `@deno/${process.platform}-${process.arch}${process.platform === 'linux' ? '-glibc' : ''}`

function onPackage(
  packageName: string,
  title: string,
  can: Contestant['can'],
  name: string = packageName,
): Contestant {
  return {
    name,
    title,
    can,
    command: (settings) => needs(packageName, () => ({ args: onNode(`servers/${name}.mjs`, settings) })),
  }
}

function onPython(module: string): Contestant {
  return {
    name: `python-${module}`,
    title: `${module} (Python)`,
    can: plainOnly,
    command(settings) {
      const python = pythonWith(module)
      if (python === undefined) return `Python with ${module} is not installed (Debian: python3-${module})`
      return { args: [python, file('servers/python.py'), module, settings] }
    },
  }
}

/** Which builds of Silverback are measured: files, of which sources (`.ts`) are run by tsx. */
export interface Builds {
  readonly entry: string
  /** An earlier build to compare with. */
  readonly before?: string | undefined
}

export const builtEntry: string = file('../dist/index.js')

export function contestantsOf({ entry, before }: Builds): readonly Contestant[] {
  const earlier =
    before === undefined ? [] : [silverback('before', `Silverback, ${before}`, 'callback', before)]
  return [
    silverback('silverback', 'Silverback, `onMessage`', 'callback', entry),
    silverback('silverback-bytes', 'Silverback, `onMessage`, text as bytes', 'bytes', entry),
    silverback('silverback-iter', 'Silverback, `for await`', 'iterate', entry),
    ...earlier,
    ws('ws', '`ws` with `bufferutil`', {}),
    ws('ws-plain', '`ws` without `bufferutil`', { WS_NO_BUFFER_UTIL: '1' }),
    {
      name: 'socket.io',
      title: '`socket.io`, WebSocket alone',
      can: ({ kind, drive, deflate, tls, message }) =>
        (kind === 'broadcast' || drive === 'idle') && message.type === 'text' && !deflate && !tls,
      command: (settings) => needs('socket.io', () => ({ args: onNode('servers/socket.io.mjs', settings) })),
      dialect: 'socket.io',
    },
    onPackage('websocket', '`websocket`', plainOnly),
    onPackage('faye-websocket', '`faye-websocket`', plainOnly, 'faye'),
    onPackage('@trufflesuite/uws-js-unofficial', 'uWebSockets.js 20.30', isServer, 'uwebsockets'),
    {
      name: 'bun',
      title: 'Bun: `Bun.serve`',
      can: isServer,
      command: (settings) =>
        needs(bunPackage, () => ({
          args: [file(`node_modules/${bunPackage}/bin/bun`), file('servers/bun.mjs'), settings],
        })),
    },
    {
      name: 'deno',
      title: 'Deno: `Deno.serve`',
      can: (workload) => isServer(workload) && !workload.deflate,
      command: (settings) =>
        needs(denoPackage, () => ({
          args: [
            file(`node_modules/${denoPackage}/deno`),
            'run',
            '--quiet',
            '--no-lock',
            '--allow-all',
            '--v8-flags=--expose-gc',
            file('servers/deno.mjs'),
            settings,
          ],
        })),
    },
    {
      name: 'gorilla',
      title: 'gorilla/websocket (Go), one thread',
      can: isServer,
      command: (settings) => {
        const program = gorillaServer()
        if (program === undefined)
          return 'Go or gorilla/websocket is not installed (Debian: golang-go golang-github-gorilla-websocket-dev)'
        return { args: [program, settings], env: { GOMAXPROCS: '1' } }
      },
    },
    onPython('websockets'),
    onPython('aiohttp'),
    {
      name: 'ceiling',
      title: 'the ceiling: `node:net` alone',
      can: (workload) => isServer(workload) && workload.kind !== 'json' && !workload.deflate,
      command: (settings) => ({ args: onNode('servers/ceiling.mjs', settings) }),
    },
  ]
}
