// Our WebSocket against the browsers' own: the same script, once in a page and once here, has to note the same.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CloseEvent, WebSocket, WebSocketError, WebSocketStream } from 'silverback/websocket'
import { type Browser, browserKinds, type Tab } from './driver.ts'
import { differences } from './parity/differences.ts'
import { ParityServer } from './parity/server.ts'

type Outcomes = Readonly<Record<string, unknown>>

/** The script: see parity/page.js. */
interface Page {
  readonly names: readonly { readonly name: string; readonly streams: boolean }[]
  play(name: string, api: object, port: number): Promise<Outcomes>
}

const path = './parity/page.js'
const { names, play } = (await import(path)) as Page

/** What a scenario notes here. */
async function playHere(scenario: string, port: number): Promise<Outcomes> {
  const outcomes = await play(scenario, { WebSocket, CloseEvent, WebSocketStream, WebSocketError }, port)
  return JSON.parse(JSON.stringify(outcomes)) as Outcomes
}

/** What it notes in a page. */
async function playThere(scenario: string, port: number, tab: Tab): Promise<Outcomes> {
  await tab.goto(`http://127.0.0.1:${port}/`)
  await tab.evaluate(`void (async () => {
    const { play } = await import('/page.js')
    const { WebSocket, CloseEvent, WebSocketStream, WebSocketError } = window
    const api = { WebSocket, CloseEvent, WebSocketStream, WebSocketError }
    window.result = JSON.stringify(await play(${JSON.stringify(scenario)}, api, ${port}))
  })().catch((error) => { window.result = String(error.stack) })`)
  await tab.until('window.result', 30_000).catch(async (error: unknown) => {
    const noted = await tab.evaluate<string>('JSON.stringify(window.stage?.outcomes)')
    throw new Error(`${scenario} does not end; it noted ${noted}`, { cause: error })
  })
  const result = await tab.evaluate<string>('window.result')
  assert.match(result, /^\{/)
  return JSON.parse(result) as Outcomes
}

for (const { name, missing, launch } of browserKinds) {
  describe(`WebSocket here and in ${name}`, { skip: missing }, () => {
    let browser: Browser | undefined
    let tab: Tab | undefined
    let server: ParityServer | undefined
    before(async () => {
      server = await ParityServer.start()
      browser = await launch()
      tab = await browser.newTab()
    })
    after(async () => {
      await browser?.close()
      await server?.[Symbol.asyncDispose]()
    })

    const { skipped = {}, different = {} } = differences[name] ?? {}
    for (const { name: scenario, streams } of names) {
      const absent = streams && name === 'Firefox' && 'Firefox has no WebSocketStream'
      test(scenario, { timeout: 60_000, skip: skipped[scenario] ?? absent }, async (t) => {
        assert.ok(browser !== undefined && tab !== undefined && server !== undefined)
        let there: Outcomes
        try {
          there = await playThere(scenario, server.port, tab)
        } catch (error) {
          // The browser's own process of the tab has ended, which nothing in a page may bring about.
          if (!/crashed/i.test(String(error))) throw error
          t.diagnostic(`${name}: the tab has crashed; played again in another one`)
          tab = await browser.newTab()
          there = await playThere(scenario, server.port, tab)
        }
        const here = await playHere(scenario, server.port)
        const known = different[scenario] ?? {}
        for (const outcome of Object.keys({ ...there, ...here })) {
          if (Object.hasOwn(known, outcome))
            assert.notDeepEqual(here[outcome], there[outcome], `${outcome} differs no more`)
          else assert.deepEqual(here[outcome], there[outcome], outcome)
        }
        for (const outcome of Object.keys(known))
          assert.ok(outcome in here, `${outcome} is not noted any more`)
      })
    }
  })
}

test('what is known to differ is of scenarios that exist', () => {
  const all = new Set(names.map(({ name }) => name))
  for (const { skipped, different } of Object.values(differences))
    for (const scenario of Object.keys({ ...skipped, ...different })) assert.ok(all.has(scenario), scenario)
})
