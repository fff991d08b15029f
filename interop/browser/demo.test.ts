// The demo's pages in real browsers. SILVERBACK_SCREENSHOTS=folder keeps the pictures.

import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createDemo } from '../../apps/demo/server.ts'
import { type Browser, browserKinds, type Tab } from './driver.ts'
import { type Closing, type Scenario, scenarios, type WatchedDemo } from './scenarios.ts'

const wanted = process.env['SILVERBACK_SCREENSHOTS']
let pictures: string

before(async () => {
  pictures = wanted ?? (await mkdtemp(join(tmpdir(), 'silverback-pictures-')))
  await mkdir(pictures, { recursive: true })
})
after(async () => {
  if (wanted === undefined) await rm(pictures, { recursive: true })
})

async function openDemo(): Promise<WatchedDemo> {
  let tell: (closing: Closing) => void = () => {}
  const firstClosing = new Promise<Closing>((resolve) => {
    tell = resolve
  })
  const demo = await createDemo({ drainTimeout: 1000, onClose: (path, info) => tell({ path, info }) })
  return { url: demo.url, close: demo.close, firstClosing }
}

/** Plays one scenario and clears away all that it opened. */
async function play(scenario: Scenario, browser: Browser, prefix: string): Promise<void> {
  const cleanups: (() => unknown)[] = []
  const tabs: Tab[] = []
  const picture = (tab: Tab, name: string): Promise<void> =>
    tab.screenshot(`${join(pictures, `${prefix}-${name}`)}.png`)
  try {
    await scenario.play({
      async openTab() {
        const tab = await browser.newTab()
        tabs.push(tab)
        return tab
      },
      async openDemo() {
        const demo = await openDemo()
        cleanups.push(() => demo.close())
        return demo
      },
      defer: (cleanup) => cleanups.push(cleanup),
      picture,
    })
  } catch (error) {
    for (const [index, tab] of tabs.entries()) await picture(tab, `failed-${index + 1}`).catch(() => {})
    throw error
  } finally {
    for (const tab of tabs) await tab.close()
    for (const cleanup of cleanups.reverse()) await cleanup()
  }
}

for (const { name, missing, launch } of browserKinds) {
  describe(`the demo in ${name}`, { skip: missing }, () => {
    let browser: Browser | undefined
    before(async () => {
      browser = await launch()
    })
    after(() => browser?.close())

    for (const scenario of scenarios) {
      test(scenario.name, { timeout: 60_000 }, async () => {
        if (browser === undefined) throw new Error(`${name} did not start`)
        await play(scenario, browser, name.toLowerCase())
      })
    }
  })
}
