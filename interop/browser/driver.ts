// Two browsers behind one small interface. Chromium speaks the DevTools protocol to playwright-core, Firefox
// WebDriver BiDi to puppeteer-core: no one library drives both in the form that distributions ship them.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { chromiumPath, firefoxPath } from '../peers.ts'

/** The keys that the pages are worked with, besides text. */
export type Key = 'Tab' | 'Enter' | 'Backspace'

/** What both libraries call a page, as far as it is the same. */
interface CommonPage {
  goto(url: string): Promise<unknown>
  evaluate(expression: string): Promise<unknown>
  click(selector: string): Promise<void>
  readonly keyboard: { press(key: Key): Promise<void>; type(text: string): Promise<void> }
  screenshot(options: { path: `${string}.png`; fullPage: boolean }): Promise<unknown>
  close(): Promise<void>
}

/** The rest, where they differ. */
interface Differences {
  resize(width: number, height: number): Promise<void>
  /** Absent where the browser can't be told. */
  colorScheme?(scheme: 'light' | 'dark'): Promise<void>
}

/** A tab of a browser, as a user meets it: a keyboard, a pointer, and something to look at. */
export class Tab {
  readonly #page: CommonPage
  readonly resize: Differences['resize']
  readonly colorScheme: Differences['colorScheme']

  constructor(page: CommonPage, { resize, colorScheme }: Differences) {
    this.#page = page
    this.resize = resize
    this.colorScheme = colorScheme
  }

  async goto(url: string): Promise<void> {
    await this.#page.goto(url)
  }

  click(selector: string): Promise<void> {
    return this.#page.click(selector)
  }

  press(key: Key): Promise<void> {
    return this.#page.keyboard.press(key)
  }

  /** Types into whatever has the focus. */
  type(text: string): Promise<void> {
    return this.#page.keyboard.type(text)
  }

  /** Replaces the text of a field, by typing. */
  async fill(selector: string, text: string): Promise<void> {
    await this.evaluate(`document.querySelector('${selector}').select()`)
    if (text === '') await this.press('Backspace')
    else await this.type(text)
  }

  /** The value of a JavaScript expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    return (await this.#page.evaluate(expression)) as T
  }

  text(selector: string): Promise<string> {
    return this.evaluate(`document.querySelector('${selector}').textContent`)
  }

  /** Waits until an expression is true in the page. Asks from outside: a tab in the background draws no frames. */
  async until(expression: string, timeout = 10_000): Promise<void> {
    const deadline = performance.now() + timeout
    while (!(await this.evaluate<boolean>(`Boolean(${expression})`))) {
      if (performance.now() > deadline) {
        const page = await this.evaluate<string>('document.body.innerText')
        throw new Error(`never true: ${expression}\n${page}`)
      }
      await delay(20)
    }
  }

  async screenshot(path: `${string}.png`): Promise<void> {
    await this.#page.screenshot({ path, fullPage: true })
  }

  close(): Promise<void> {
    return this.#page.close()
  }
}

/** A running browser. */
export interface Browser {
  newTab(): Promise<Tab>
  /** Ends the browser and removes its profile. */
  close(): Promise<void>
}

/** A browser to be driven, or the reason why it can't be. */
export interface BrowserKind {
  readonly name: string
  readonly missing: string | false
  launch(): Promise<Browser>
}

const viewport = { width: 1280, height: 860 }

const chromiumArguments = [
  '--no-sandbox',
  '--headless=new',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
]

async function launchChromium(folder: string): Promise<Browser> {
  const { chromium } = await import('playwright-core')
  const context = await chromium.launchPersistentContext(join(folder, 'profile'), {
    executablePath: chromiumPath() ?? '',
    args: chromiumArguments,
    env: { ...process.env, TMPDIR: folder },
    viewport,
  })
  return {
    async newTab() {
      const page = await context.newPage()
      return new Tab(page, {
        resize: (width, height) => page.setViewportSize({ width, height }),
        colorScheme: (scheme) => page.emulateMedia({ colorScheme: scheme }),
      })
    },
    close: () => context.close(),
  }
}

async function launchFirefox(folder: string): Promise<Browser> {
  const { launch } = await import('puppeteer-core')
  const browser = await launch({
    browser: 'firefox',
    executablePath: firefoxPath() ?? '',
    userDataDir: join(folder, 'profile'),
    env: { ...process.env, TMPDIR: folder },
    defaultViewport: viewport,
    // It would wait for seconds before it connects again to a server that has failed it.
    extraPrefsFirefox: { 'network.websocket.delay-failed-reconnects': false },
  })
  return {
    async newTab() {
      const page = await browser.newPage()
      return new Tab(page, { resize: (width, height) => page.setViewport({ width, height }) })
    },
    close: () => browser.close(),
  }
}

/** Gives a browser a folder of its own, which goes away with it, or with the attempt to start it. */
async function withFolder(launch: (folder: string) => Promise<Browser>): Promise<Browser> {
  const folder = await mkdtemp(join(tmpdir(), 'silverback-browser-'))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true, maxRetries: 10 })
  try {
    const browser = await launch(folder)
    return { newTab: browser.newTab, close: () => browser.close().finally(remove) }
  } catch (error) {
    await remove()
    throw error
  }
}

function reason(path: string | undefined, packageName: string): string | false {
  return path === undefined && `${packageName} is not installed (apt-get install ${packageName})`
}

/** The browsers that the pages are tried in. */
export const browserKinds: readonly BrowserKind[] = [
  {
    name: 'Chromium',
    missing: reason(chromiumPath(), 'chromium'),
    launch: () => withFolder(launchChromium),
  },
  {
    name: 'Firefox',
    missing: reason(firefoxPath(), 'firefox-esr'),
    launch: () => withFolder(launchFirefox),
  },
]
