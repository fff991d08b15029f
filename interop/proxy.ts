// nginx and HAProxy in front of a server of ours, with the configurations of docs/proxies.md.

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Certificate } from './certificate.ts'
import { ForeignServer } from './foreign-process.ts'
import { haproxyPath, nginxPath } from './peers.ts'

const guide = readFileSync(new URL('../docs/proxies.md', import.meta.url), 'utf8')

/** A configuration of the guide: the block with these words behind its fence. */
export function documented(words: string): string {
  const block = new RegExp(`^\`\`\`${words}\\n(.*?)^\`\`\`$`, 'ms').exec(guide)?.[1]
  if (block === undefined) throw new Error(`docs/proxies.md has no block "${words}"`)
  return block
}

/** A configuration with one thing in it changed, which has to be there. */
export function changed(config: string, from: string, to: string): string {
  if (!config.includes(from)) throw new Error(`the configuration has no "${from}":\n${config}`)
  return config.replaceAll(from, to)
}

/** How a proxy is started. */
export interface ProxyOptions {
  /** The ports of our servers; one is given twice. */
  readonly backends: readonly [number, number?]
  /** What is not as in the guide. */
  readonly change?: ((config: string) => string) | undefined
  /** Makes it `wss`. */
  readonly certificate?: Certificate | undefined
}

/** Both proxies, by the same handle. */
export interface ProxyKind {
  readonly name: 'nginx' | 'HAProxy'
  readonly path: string | undefined
  readonly packages: string
  /** The line of its configuration that says after how much silence it drops a connection. */
  readonly idleTimeout: string
  /** What it answers when no server is up, and to 20 KB of headers and to 120 header fields. */
  readonly answers: { readonly down: number; readonly bytes: number; readonly fields: number }
  /** Asks it to end once its connections have. */
  readonly softStop: NodeJS.Signals
  start(options: ProxyOptions): Promise<ForeignServer>
}

const folders = new Set<string>()

function add(folder: string): void {
  if (folders.size === 0) process.once('exit', removeAll)
  folders.add(folder)
}

function remove(folder: string): void {
  folders.delete(folder)
  if (folders.size === 0) process.off('exit', removeAll)
  rmSync(folder, { recursive: true, force: true })
}

function removeAll(): void {
  folders.forEach(remove)
}

/** Its own folder, which is gone when the proxy is. */
async function startIn(
  command: string,
  prepare: (folder: string, port: number) => readonly string[],
): Promise<ForeignServer> {
  const folder = mkdtempSync(join(tmpdir(), 'silverback-proxy-'))
  add(folder)
  // nginx's workers are nobody.
  chmodSync(folder, 0o755)
  try {
    const proxy = await ForeignServer.start(command, (port) => prepare(folder, port))
    void proxy.exit.then(() => remove(folder))
    return proxy
  } catch (error) {
    remove(folder)
    throw error
  }
}

/** Where the guide's servers are, which are ours in its place. */
function withBackends(config: string, [first, second = first]: ProxyOptions['backends']): string {
  return changed(
    changed(config, '127.0.0.1:8081', `127.0.0.1:${first}`),
    '127.0.0.1:8082',
    `127.0.0.1:${second}`,
  )
}

const nginx: ProxyKind = {
  name: 'nginx',
  path: nginxPath(),
  packages: 'nginx',
  idleTimeout: 'proxy_read_timeout 60s;',
  // That the fields are too many is our own answer.
  answers: { down: 502, bytes: 400, fields: 431 },
  softStop: 'SIGQUIT',
  start({ backends, change = (config) => config, certificate }) {
    return startIn(nginxPath() ?? '', (folder, port) => {
      let config = withBackends(documented('nginx'), backends)
      if (certificate === undefined) config = changed(config, 'listen 80;', `listen 127.0.0.1:${port};`)
      else {
        writeFileSync(join(folder, 'site.crt'), certificate.cert)
        writeFileSync(join(folder, 'site.key'), certificate.key)
        config = changed(config, '    listen 80;\n', documented('nginx tls'))
        config = changed(config, 'listen 443 ssl;', `listen 127.0.0.1:${port} ssl;`)
        config = changed(config, '/etc/ssl/', `${folder}/`)
      }
      // What Debian's nginx.conf has around, and nothing outside of the folder.
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
        .map((name) => `${name}_temp_path ${folder}/${name};`)
        .join('\n')
      writeFileSync(
        join(folder, 'nginx.conf'),
        `daemon off;\nworker_processes 1;\nerror_log stderr notice;\npid ${folder}/nginx.pid;\nevents {}\n` +
          `http {\naccess_log off;\n${temporary}\n${change(config)}}\n`,
      )
      return ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']
    })
  },
}

const haproxy: ProxyKind = {
  name: 'HAProxy',
  path: haproxyPath(),
  packages: 'haproxy',
  idleTimeout: 'timeout tunnel 60s',
  answers: { down: 503, bytes: 400, fields: 400 },
  softStop: 'SIGUSR1',
  start({ backends, change = (config) => config, certificate }) {
    return startIn(haproxyPath() ?? '', (folder, port) => {
      let config = withBackends(documented('haproxy'), backends)
      if (certificate === undefined) config = changed(config, 'bind :80', `bind 127.0.0.1:${port}`)
      else {
        writeFileSync(join(folder, 'site.pem'), certificate.cert + certificate.key)
        config = changed(config, '    bind :80\n', documented('haproxy tls'))
        config = changed(config, 'bind :443', `bind 127.0.0.1:${port}`)
        config = changed(config, '/etc/haproxy/', `${folder}/`)
      }
      writeFileSync(join(folder, 'haproxy.cfg'), change(config))
      // In the foreground, without a process above it.
      return ['-db', '-f', join(folder, 'haproxy.cfg')]
    })
  },
}

export const proxyKinds: readonly ProxyKind[] = [nginx, haproxy]
