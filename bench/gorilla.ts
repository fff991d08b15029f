import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Where Debian keeps the sources of Go libraries. */
const goPath = '/usr/share/gocode'

/**
 * The server of servers/gorilla, built when it is older than its source; `undefined` without Go or Debian's package
 * of gorilla/websocket.
 *
 * @throws Error with what the compiler says
 */
export function gorillaServer(): string | undefined {
  const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
  const hasGo = spawnSync('go', ['version'], { stdio: 'ignore' }).status === 0
  if (!hasGo || !existsSync(`${goPath}/src/github.com/gorilla/websocket`)) return undefined
  const program = path('.cache/gorilla')
  const source = path('servers/gorilla/main.go')
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program
  mkdirSync(path('.cache'), { recursive: true })
  const { status, stderr, error } = spawnSync('go', ['build', '-o', program, source], {
    encoding: 'utf8',
    timeout: 110_000,
    env: {
      ...process.env,
      GOPATH: goPath,
      GO111MODULE: 'off',
      GOFLAGS: '',
      CGO_ENABLED: '0',
      GOCACHE: path('.cache/go'),
    },
  })
  if (status !== 0) throw new Error(`go build of ${source} failed: ${error?.message ?? stderr}`)
  return program
}
