// permessage-deflate with real browsers, against a server of ours.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { type CompressionOptions, type Conn, serve } from 'silverback'
import { type Browser, browserKinds } from './driver.ts'

const takeover: CompressionOptions = { sendTakeover: true, receiveTakeover: true, threshold: 0 }

const echo = async (conn: Conn): Promise<void> => {
  for await (const { type, data } of conn.messages()) if (!conn.send(data, type)) await conn.drained()
}

for (const { name, missing, launch } of browserKinds) {
  describe(name, { skip: missing }, () => {
    let browser: Browser | undefined
    before(async () => {
      browser = await launch()
    })
    after(() => browser?.close())

    for (const [how, compression, agreed] of [
      [
        'with the defaults',
        true,
        /^permessage-deflate; server_no_context_takeover; client_no_context_takeover$/,
      ],
      ['with takeover', takeover, /^permessage-deflate$/],
      [
        'with small windows',
        { ...takeover, sendWindowBits: 9, receiveWindowBits: 10 },
        // Firefox does not let its window be set.
        /server_max_window_bits=9; client_max_window_bits=10$|; client_no_context_takeover; server_max_window_bits=9$/,
      ],
    ] as const) {
      test(how, { timeout: 60_000 }, async () => {
        assert.ok(browser !== undefined)
        const page = createServer((_request, response) => {
          response.setHeader('content-type', 'text/html')
          response.end('<!doctype html><title>compression</title>')
        })
        const conns: Conn[] = []
        const server = await serve({ server: page, port: 0, compression }, (conn) => {
          conns.push(conn)
          return echo(conn)
        })
        const tab = await browser.newTab()
        try {
          await tab.goto(server.url.replace('ws:', 'http:'))
          await tab.evaluate(`(() => {
            const texts = []
            for (let i = 0; i < 100; i++) texts.push('{"tick":' + i + ',"note":"' + 'as before '.repeat(i) + '"}')
            for (const size of [0, 1, 1000, 40000, 900000]) texts.push('é🦍'.repeat(size / 6))
            const binary = Uint8Array.from({ length: 100000 }, (_, i) => Math.imul(i, i) >> 7)
            const socket = new WebSocket(${JSON.stringify(server.url)})
            socket.binaryType = 'arraybuffer'
            let heard = 0
            window.done = ''
            socket.onopen = () => {
              for (const text of texts) socket.send(text)
              socket.send(binary)
            }
            socket.onmessage = ({ data }) => {
              const wanted = texts[heard++]
              if (wanted === undefined) {
                const same = new Uint8Array(data).every((byte, i) => byte === binary[i])
                window.done = same && data.byteLength === binary.length ? 'all right' : 'wrong bytes'
              } else if (data !== wanted) window.done = 'wrong text ' + heard
            }
            socket.onclose = ({ code }) => { window.done ||= 'closed with ' + code }
          })()`)
          await tab.until(`window.done !== ''`, 30_000)
          assert.equal(await tab.evaluate('window.done'), 'all right')
          assert.match(conns[0]?.extensions ?? '', agreed)
          const encoding = conns[0]?.stats.encoding
          assert.ok(encoding !== undefined)
          assert.ok(encoding.plainSent > 900_000 && encoding.encodedSent < encoding.plainSent / 4)
          assert.ok(encoding.plainReceived > 900_000 && encoding.encodedReceived < encoding.plainReceived / 4)
        } finally {
          await tab.close()
          await server.close({ timeout: 1000 })
          page.closeAllConnections()
          await new Promise((resolve) => page.close(resolve))
        }
      })
    }
  })
}
