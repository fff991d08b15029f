// Where the programs are that the interop tests talk to. A test skips itself visibly where one is absent:
// `skip: chromiumPath() ? false : 'chromium is not installed (apt-get install chromium)'`.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Every executable file of one of these names: Debian's folders before PATH, so that its own come first. */
function candidates(names: readonly string[]): string[] {
  const folders = [
    '/usr/bin',
    '/usr/sbin',
    ...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
  ]
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).filter(isExecutable)
}

/** A Chromium or Chrome that `playwright-core` can drive, or `undefined`. */
export function chromiumPath(): string | undefined {
  return candidates(['chromium', 'chromium-browser', 'google-chrome'])[0]
}

/** A Firefox that `puppeteer-core` can drive by WebDriver BiDi, or `undefined`. */
export function firefoxPath(): string | undefined {
  return candidates(['firefox-esr', 'firefox'])[0]
}

/** A Python 3 that can import the module, or `undefined`. A private Python in PATH may lack what Debian's has. */
export function pythonWith(module: string): string | undefined {
  return candidates(['python3']).find(
    (path) => spawnSync(path, ['-c', `import ${module}`], { stdio: 'ignore', timeout: 20_000 }).status === 0,
  )
}

export function nginxPath(): string | undefined {
  return candidates(['nginx'])[0]
}

export function haproxyPath(): string | undefined {
  return candidates(['haproxy'])[0]
}

export function opensslPath(): string | undefined {
  return candidates(['openssl'])[0]
}

export function libwebsocketsServerPath(): string | undefined {
  return candidates(['libwebsockets-test-server'])[0]
}

export function libwebsocketsClientPath(): string | undefined {
  return candidates(['libwebsockets-test-client'])[0]
}

const folder = fileURLToPath(new URL('.', import.meta.url))
/** Where Debian keeps the sources of Go libraries. */
const goPath = '/usr/share/gocode'
const gorilla = join(goPath, 'src/github.com/gorilla/websocket')

/**
 * The program of gorilla/, or `undefined` without Go or Debian's gorilla/websocket. It is built when it is not there
 * yet for these sources.
 *
 * @throws Error with what the compiler says, when it says anything
 */
export function gorillaPeer(): string | undefined {
  const go = candidates(['go'])[0]
  if (go === undefined || !existsSync(gorilla)) return undefined
  const source = join(folder, 'gorilla')
  const hash = createHash('sha256')
  for (const path of [source, gorilla].flatMap(goFiles)) hash.update(path).update(readFileSync(path))
  const cache = join(folder, '.cache')
  const program = join(cache, `gorilla-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(program)) return program
  mkdirSync(cache, { recursive: true })
  const half = `${program}.${process.pid}`
  const { status, stderr, error } = spawnSync(go, ['build', '-o', half, '.'], {
    cwd: source,
    encoding: 'utf8',
    timeout: 110_000,
    env: {
      ...process.env,
      GOPATH: goPath,
      GO111MODULE: 'off',
      GOCACHE: join(cache, 'go'),
      GOFLAGS: '',
      // Without a C compiler.
      CGO_ENABLED: '0',
    },
  })
  if (status !== 0) throw new Error(`go build in interop/gorilla failed: ${error?.message ?? stderr}`)
  renameSync(half, program)
  return program
}

function goFiles(path: string): string[] {
  return readdirSync(path)
    .filter((name) => name.endsWith('.go'))
    .sort()
    .map((name) => join(path, name))
}
