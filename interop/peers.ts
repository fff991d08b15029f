// Where the programs are that the interop tests talk to. A test skips itself visibly where one is absent:
// `skip: chromiumPath() ? false : 'chromium is not installed (apt-get install chromium)'`.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Every executable file of one of these names: /usr/bin before PATH, so that Debian's own come first. */
function candidates(names: readonly string[]): string[] {
  const folders = [
    '/usr/bin',
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

/** A Python 3 that can import `websockets`, or `undefined`. A private Python in PATH may lack what Debian's has. */
export function pythonWithWebsockets(): string | undefined {
  return candidates(['python3']).find(
    (path) => spawnSync(path, ['-c', 'import websockets'], { stdio: 'ignore', timeout: 20_000 }).status === 0,
  )
}
