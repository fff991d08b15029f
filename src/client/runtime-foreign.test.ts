// What the runtime's globals are is settled when the library is loaded: programs of their own, which put others in their place.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { root } from '../../test/repo.ts'

/** What a program writes: one that ends by itself. */
async function run(program: string): Promise<string> {
  const child = spawn(
    process.execPath,
    ['--conditions=silverback:source', '--import=tsx', '--input-type=module', '--eval', program],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  assert.equal(stderr, '')
  return stdout.trim()
}

const stubs = `
  class OtherEventTarget {
    #all = []
    addEventListener(type, listener) { this.#all.push([type, listener]) }
    removeEventListener() {}
    dispatchEvent(event) {
      for (const [type, listener] of this.#all) if (type === event.type) listener.call(this, event)
      return true
    }
  }
  class OtherEvent { constructor(type, init) { Object.assign(this, init, { type }) } }
  Object.assign(globalThis, {
    EventTarget: OtherEventTarget, Event: OtherEvent, MessageEvent: class extends OtherEvent {},
  })
`

const talk = `
  const { serve } = await import('silverback')
  const { WebSocket } = await import('silverback/websocket')
  const server = await serve({}, (conn) => conn.onMessage((data) => conn.send(data)))
  const socket = new WebSocket(server.url)
  socket.addEventListener('open', () => socket.send('hello'))
  socket.addEventListener('message', ({ data }) => { console.log(data); socket.close() })
  await new Promise((resolve) => socket.addEventListener('close', resolve))
  await server.close()
`

describe('a runtime whose globals are others', () => {
  it('connects where EventTarget and Event were replaced before the library was loaded, as by jsdom', async () => {
    assert.equal(await run(stubs + talk), 'hello')
  })
})
