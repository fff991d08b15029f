// What a user does with the demo, and what they must see. Each runs in every browser, in a tab of its own.

import assert from 'node:assert/strict'
import { type CloseInfo, dial } from 'silverback'
import { startDemo } from '../../test/demo-process.ts'
import { contrastProblems } from './contrast.ts'
import type { Tab } from './driver.ts'

/** What the server saw of a connection's end. */
export interface Closing {
  readonly path: string
  readonly info: CloseInfo
}

/** A demo server that tells how its first connection ended. */
export interface WatchedDemo {
  readonly url: string
  readonly firstClosing: Promise<Closing>
  close(): Promise<void>
}

/** What a scenario is given. What it opens through this is closed for it. */
export interface Stage {
  openTab(): Promise<Tab>
  /** Starts a demo server of the scenario's own. */
  openDemo(): Promise<WatchedDemo>
  /** Runs at the end, whatever happens. */
  defer(cleanup: () => unknown): void
  /** Takes a picture for people to look at. */
  picture(tab: Tab, name: string): Promise<void>
}

export interface Scenario {
  readonly name: string
  play(stage: Stage): Promise<void>
}

const entry = (kind: string): string => `document.querySelector('.entry.${kind}')`
const lastDetail = (tab: Tab, kind: string): Promise<string> =>
  tab.evaluate(`[...document.querySelectorAll('.entry.${kind} span')].at(-1).textContent`)

/** Opens the number page and connects. */
async function connected(stage: Stage, url: string): Promise<Tab> {
  const tab = await stage.openTab()
  await tab.goto(url)
  await tab.click('#connect-button')
  await tab.until(entry('open'))
  assert.equal(await tab.text('#ready-state'), '1 OPEN')
  return tab
}

/** What the page must show once the socket is gone. */
async function closedWith(tab: Tab, detail: RegExp): Promise<void> {
  await tab.until(entry('close'))
  assert.match(await lastDetail(tab, 'close'), detail)
  assert.equal(await tab.text('#ready-state'), '3 CLOSED')
  assert.equal(await tab.text('#state'), 'CLOSED')
}

async function numberEcho(stage: Stage): Promise<void> {
  const { url } = await stage.openDemo()
  const tab = await connected(stage, url)
  for (const [typed, echoed] of [
    ['42', '{"Num":42}'],
    ['-0.5', '{"Num":-0.5}'],
    ['1e21', '{"Num":1e+21}'],
  ] as const) {
    await tab.fill('#number', typed)
    await tab.click('#send-button')
    await tab.until(
      `[...document.querySelectorAll('.entry.message span')].at(-1)?.textContent === '${echoed}'`,
    )
    assert.equal(await lastDetail(tab, 'sent'), echoed)
  }
  assert.equal(await tab.text('#buffered-amount'), '0 bytes')
  await stage.picture(tab, 'number-echo')
}

async function wrongInput(stage: Stage): Promise<void> {
  const { url } = await stage.openDemo()
  const tab = await stage.openTab()
  await tab.goto(url)
  const tells = async (field: string, typed: string, problem: string): Promise<void> => {
    await tab.fill(field, typed)
    await tab.press('Enter')
    assert.equal(await tab.text(`${field}-problem`), problem)
    assert.equal(await tab.evaluate(`document.activeElement === document.querySelector('${field}')`), true)
    assert.equal(await tab.evaluate(`document.activeElement.getAttribute('aria-invalid')`), 'true')
  }
  await tells('#number', '42', 'Not connected. Press Connect first.')
  await tells('#code', '1000', 'There is no connection to close.')
  await tells('#endpoint', 'nowhere', `An address such as ${url.replace('http', 'ws')}ws is needed.`)
  await tells('#endpoint', 'ftp://host/', 'It must start with ws:// or wss://, not ftp://.')
  await tab.fill('#endpoint', `${url.replace('http', 'ws')}ws`)
  await tab.press('Enter')
  await tab.until(entry('open'))
  await tells('#endpoint', 'ws://host/', 'There is a connection already. Close it first.')
  await tells('#number', '', 'Type a number.')
  await tells('#number', '3,5', 'Use a point for decimals: 3.5')
  await tells('#number', '1e999', 'That is more than a number can hold.')
  await tells('#number', '9007199254740993', 'Digits would get lost beyond ±9007199254740991.')
  await tells('#code', '1001', 'A page may close with 1000 or with 3000 to 4999 (or with no code).')
  await tab.fill('#code', '')
  await tells('#reason', 'why', 'A reason travels with a code only.')
  await tab.fill('#code', '4000')
  await tells('#reason', '🦍'.repeat(31), 'A reason holds 123 bytes at most; this one has 124.')
  await tells('#number', 'forty-two', '“forty-two” is not a number.')
  await stage.picture(tab, 'wrong-input')
  // Nothing of this was sent, and the message goes away with the mistake.
  assert.equal(await tab.evaluate(entry('sent')), null)
  await tab.fill('#number', '42')
  assert.equal(await tab.text('#number-problem'), '')
}

async function closedByPage(stage: Stage): Promise<void> {
  const { url, firstClosing } = await stage.openDemo()
  const tab = await connected(stage, url)
  await tab.fill('#code', '4321')
  await tab.fill('#reason', 'enough numbers für heute 🦍')
  await tab.click('#close-button')
  await tab.until(entry('closing'))
  assert.equal(await lastDetail(tab, 'closing'), '4321 “enough numbers für heute 🦍”')
  // The answer to a Close frame repeats its code, not its reason.
  await closedWith(tab, /^4321 private use · clean$/)
  const { path, info } = await firstClosing
  assert.equal(path, '/ws')
  assert.deepEqual(info.received, { code: 4321, reason: 'enough numbers für heute 🦍' })
  assert.equal(info.by, 'remote')
  assert.equal(info.wasClean, true)
  await stage.picture(tab, 'closed-by-page')
}

async function closedByServer(stage: Stage): Promise<void> {
  const demo = await stage.openDemo()
  const tab = await connected(stage, demo.url)
  await demo.close()
  await closedWith(tab, /^1001 going away · “the server is shutting down” · clean$/)
  await stage.picture(tab, 'closed-by-server')
}

async function badJson(stage: Stage): Promise<void> {
  const { url } = await stage.openDemo()
  const tab = await connected(stage, url)
  await tab.click('summary')
  await tab.fill('#raw', 'forty-two')
  await tab.click('#raw-button')
  await closedWith(tab, /^1007 invalid payload · “message is not JSON” · /)
  await stage.picture(tab, 'bad-json')
  // The server lives on.
  await tab.click('#connect-button')
  await tab.until(`document.querySelectorAll('.entry.open').length === 2`)
  await tab.fill('#number', '1')
  await tab.press('Enter')
  await tab.until(entry('message'))
}

async function refusedOrigin(stage: Stage): Promise<void> {
  const [page, target] = await Promise.all([stage.openDemo(), stage.openDemo()])
  const tab = await stage.openTab()
  await tab.goto(page.url)
  await tab.fill('#endpoint', `${target.url.replace('http', 'ws')}ws`)
  await tab.click('#connect-button')
  await closedWith(tab, /^1006 .* · not clean$/)
  assert.equal(await tab.evaluate(`${entry('error')} !== null`), true)
  assert.equal(await tab.evaluate(`${entry('open')} === null`), true)
  await stage.picture(tab, 'refused-origin')
}

async function killedServer(stage: Stage): Promise<void> {
  const demo = await startDemo()
  stage.defer(() => demo[Symbol.asyncDispose]())
  const tab = await connected(stage, demo.url)
  await demo[Symbol.asyncDispose]()
  await closedWith(tab, /^1006 .* · not clean$/)
  await stage.picture(tab, 'killed-server')
}

async function chat(stage: Stage): Promise<void> {
  const demo = await stage.openDemo()
  const tabs = [await stage.openTab(), await stage.openTab()] as const
  const [first, second] = tabs
  for (const tab of tabs) {
    await tab.goto(`${demo.url}chat`)
    await tab.until(`document.querySelector('#status').dataset.state === 'open'`)
  }
  const heard = (tab: Tab, count: number): Promise<void> =>
    tab.until(`document.querySelectorAll('.said').length === ${count}`)
  await first.fill('#text', 'Is anybody here?')
  await first.press('Enter')
  for (const tab of tabs) await heard(tab, 1)
  await second.fill('#text', '<img src=x onerror=alert(1)> <b>me</b>')
  await second.press('Enter')
  for (const tab of tabs) await heard(tab, 2)
  // Text stays text, and everybody sees which words are their own.
  const shown = `[...document.querySelectorAll('.said')].map((said) => [said.querySelector('p').textContent, said.className])`
  const words = ['Is anybody here?', '<img src=x onerror=alert(1)> <b>me</b>'] as const
  assert.deepEqual(await first.evaluate(shown), [
    [words[0], 'said mine'],
    [words[1], 'said'],
  ])
  assert.deepEqual(await second.evaluate(shown), [
    [words[0], 'said'],
    [words[1], 'said mine'],
  ])
  assert.equal(await first.evaluate(`document.querySelector('#log img, #log p b') === null`), true)

  // The log follows the newest message, until the reader scrolls up.
  const talker = await dial(`${demo.url.replace('http', 'ws')}chat`)
  stage.defer(() => talker.terminate())
  for (let i = 1; i <= 40; i++) talker.send(`Line ${i} of a long story.`)
  for (const tab of tabs) await heard(tab, 42)
  const distance = `(() => { const l = document.querySelector('#log'); return l.scrollHeight - l.clientHeight - l.scrollTop })()`
  assert.ok((await second.evaluate<number>(distance)) < 2)
  await second.evaluate(`document.querySelector('#log').scrollTop = 0`)
  talker.send('And the end.')
  for (const tab of tabs) await heard(tab, 43)
  assert.ok((await second.evaluate<number>(distance)) > 100)
  assert.equal(await second.evaluate(`document.querySelector('#latest').hidden`), false)
  await stage.picture(second, 'chat-scrolled-up')
  await second.click('#latest')
  assert.ok((await second.evaluate<number>(distance)) < 2)
  await second.until(`document.querySelector('#latest').hidden`)

  await demo.close()
  await second.until(
    `document.querySelector('#status').textContent.includes('1001, the server is shutting down')`,
  )
  await second.fill('#text', 'Still there?')
  await second.press('Enter')
  assert.equal(await second.text('#text-problem'), 'Not connected. What you wrote stays here.')
  assert.equal(await second.evaluate(`document.querySelector('#text').value`), 'Still there?')
  await stage.picture(second, 'chat-disconnected')
}

async function keyboardOnly(stage: Stage): Promise<void> {
  const { url, firstClosing } = await stage.openDemo()
  const tab = await stage.openTab()
  await tab.goto(url)
  const tabTo = async (id: string): Promise<void> => {
    for (let presses = 0; presses < 20; presses++) {
      await tab.press('Tab')
      if ((await tab.evaluate<string>('document.activeElement.id')) !== id) continue
      const outline = await tab.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle')
      assert.notEqual(outline, 'none', `the focus on #${id} can be seen`)
      return
    }
    assert.fail(`Tab never reaches #${id}`)
  }
  const hasFocus = async (id: string): Promise<void> =>
    assert.equal(await tab.evaluate('document.activeElement.id'), id)

  await tabTo('endpoint')
  await tabTo('connect-button')
  await tab.type(' ')
  await tab.until(entry('open'))
  await hasFocus('connect-button')
  await tabTo('number')
  await tab.type('7')
  await tab.press('Enter')
  await tab.until(entry('message'))
  assert.equal(await lastDetail(tab, 'message'), '{"Num":7}')
  await hasFocus('number')
  // What was sent is selected: the next number replaces it.
  await tab.type('8')
  await tab.press('Enter')
  await tab.until(`document.querySelectorAll('.entry.message').length === 2`)
  assert.equal(await lastDetail(tab, 'message'), '{"Num":8}')
  await tabTo('code')
  await tab.type('3999')
  await tabTo('reason')
  await tab.type('typed')
  await stage.picture(tab, 'keyboard-only')
  await tab.press('Enter')
  await closedWith(tab, /^3999 registered use · clean$/)
  assert.deepEqual((await firstClosing).info.received, { code: 3999, reason: 'typed' })
  await tabTo('clear')
  await tabTo('log')
}

async function narrow(stage: Stage): Promise<void> {
  const { url } = await stage.openDemo()
  const fits = async (tab: Tab): Promise<void> => {
    const [content, window] = await tab.evaluate<[number, number]>(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    )
    assert.ok(window <= 320, `the window is ${window} px wide`)
    assert.ok(content <= window, `the content is ${content} px wide in a window of ${window} px`)
  }
  const tab = await stage.openTab()
  await tab.resize(320, 640)
  await tab.goto(url)
  await fits(tab)
  await tab.click('#connect-button')
  await tab.until(entry('open'))
  await tab.click('summary')
  await tab.fill('#raw', `{"Num": 1${'0'.repeat(300)}}`)
  await tab.press('Enter')
  await tab.until(entry('message'))
  await tab.fill('#number', 'w'.repeat(200))
  await tab.press('Enter')
  await fits(tab)
  await stage.picture(tab, 'phone-number')

  await tab.goto(`${url}chat`)
  await tab.until(`document.querySelector('#status').dataset.state === 'open'`)
  await tab.fill('#text', 'w'.repeat(200))
  await tab.press('Enter')
  await tab.until(`document.querySelector('.said')`)
  await fits(tab)
  await stage.picture(tab, 'phone-chat')
}

async function accessible(stage: Stage): Promise<void> {
  const { url } = await stage.openDemo()
  const tab = await connected(stage, url)
  await tab.fill('#number', '5')
  await tab.press('Enter')
  await tab.until(entry('message'))
  await tab.fill('#number', 'five')
  await tab.press('Enter')
  const check = async (): Promise<void> => {
    assert.deepEqual(
      await tab.evaluate(
        `[...document.querySelectorAll('input')].filter((i) => !i.labels.length).map((i) => i.id)`,
      ),
      [],
    )
    assert.equal(await tab.evaluate(`document.querySelector('#log').getAttribute('role')`), 'log')
    assert.equal(await tab.evaluate(`document.querySelectorAll('h1').length`), 1)
    for (const scheme of ['light', 'dark'] as const) {
      if (scheme === 'dark' && tab.colorScheme === undefined) continue
      await tab.colorScheme?.(scheme)
      assert.deepEqual(await tab.evaluate(contrastProblems), [], `${scheme} colours`)
    }
  }
  await check()
  await stage.picture(tab, tab.colorScheme ? 'number-dark' : 'number-light')
  await tab.goto(`${url}chat`)
  await tab.until(`document.querySelector('#status').dataset.state === 'open'`)
  await tab.fill('#text', 'Can everybody read this?')
  await tab.press('Enter')
  await tab.until(`document.querySelector('.said.mine')`)
  await check()
  await stage.picture(tab, tab.colorScheme ? 'chat-dark' : 'chat-light')
}

export const scenarios: readonly Scenario[] = [
  { name: 'echoes numbers', play: numberEcho },
  { name: 'tells what is wrong beside the field', play: wrongInput },
  { name: 'closes with the code and reason of the page', play: closedByPage },
  { name: 'shows the 1001 of a server that shuts down', play: closedByServer },
  { name: 'shows the 1007 that bad JSON earns', play: badJson },
  { name: 'shows a refused origin as error and 1006', play: refusedOrigin },
  { name: 'shows a killed server as 1006', play: killedServer },
  { name: 'chats between two tabs', play: chat },
  { name: 'works by keyboard alone', play: keyboardOnly },
  { name: 'fits a window of 320 px', play: narrow },
  { name: 'has labels, a live log and contrast', play: accessible },
]
