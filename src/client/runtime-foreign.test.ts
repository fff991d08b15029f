// What the runtime's globals are is settled when the library is loaded: programs of their own, which put others in their place.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { root } from '../../test/repo.ts'

after(() => assertNoLeaks())

/** How each runtime runs a program that is given as text. */
function programArgs(program: string): string[] {
  const source = '--conditions=silverback:source'
  if (process.versions.bun !== undefined) return [source, '--eval', program]
  if (process.versions.deno !== undefined) return ['eval', source, program]
  return [source, '--import=tsx', '--input-type=module', '--eval', program]
}

/** What a program writes: one that ends by itself, and is ended when it does not. */
async function run(program: string): Promise<string> {
  const child = spawn(process.execPath, programArgs(program), {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  })
  const [stdout, stderr, [, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  assert.equal(stderr, '')
  assert.equal(signal, null, `had to be ended, after it wrote '${stdout}'`)
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

const load = `
  const { dial, serve, toWebStreams } = await import('silverback')
  const { WebSocket } = await import('silverback/websocket')
`

const talk = `
  const server = await serve({}, (conn) => conn.onMessage((data) => conn.send(data)))
  const socket = new WebSocket(server.url)
  socket.addEventListener('open', () => socket.send('hello'))
  socket.addEventListener('message', ({ data }) => { console.log(data); socket.close() })
  await new Promise((resolve) => socket.addEventListener('close', resolve))
  await server.close()
`

const fakeTimers = `
  ${load}
  const { connectFirst } = await import('./src/client/connect-first.ts')
  const { Socket, createServer, connect } = await import('node:net')
  const { SocksProxy } = await import('./test/support/socks-proxy.ts')
  await import('socks')
  for (const name of ['setTimeout', 'setImmediate', 'setInterval', 'clearTimeout', 'clearImmediate', 'queueMicrotask'])
    globalThis[name] = () => ({ unref() {} })
`

describe('a runtime whose globals are others', () => {
  it('connects where EventTarget and Event were replaced before the library was loaded, as by jsdom', async () => {
    assert.equal(await run(stubs + load + talk), 'hello')
  })

  it('goes on under fake timers that nobody moves on', async () => {
    assert.equal(await run(fakeTimers + talk), 'hello')
  })

  it('tells under fake timers that nobody is there', async () => {
    const refused = `
      const nobody = new WebSocket('ws://127.0.0.1:1/')
      await new Promise((resolve) => {
        nobody.onerror = () => console.log('error')
        nobody.onclose = () => resolve(console.log('close'))
      })
    `
    assert.equal(await run(fakeTimers + refused), 'error\nclose')
  })

  it('ends streams under fake timers', async () => {
    const streams = `
      const server = await serve({}, async (conn) => { await conn.read(); await conn.close() })
      const conn = await dial(server.url)
      const { readable, writable } = toWebStreams(conn)
      const writer = writable.getWriter()
      await writer.write('hello')
      await readable.getReader().read()
      await writer.closed.catch(({ name }) => console.log(name))
      await server.close()
    `
    assert.equal(await run(fakeTimers + streams), 'CloseError')
  })

  it('goes on to the next address under fake timers', async () => {
    const race = `
      const server = createServer().listen(0, '127.0.0.1')
      await new Promise((resolve) => server.once('listening', resolve))
      const { port } = server.address()
      const open = (host) => (host === '127.0.0.1' ? connect(port, host) : new Socket())
      const socket = await connectFirst(['::1', '127.0.0.1'], open, new AbortController().signal)
      console.log(socket.remoteAddress)
      socket.destroy()
      server.close()
    `
    assert.equal(await run(fakeTimers + race), '127.0.0.1')
  })

  it('goes through a proxy under fake timers', async () => {
    const socks = `
      const server = await serve({}, () => {})
      const proxy = await SocksProxy.start()
      process.env.http_proxy = proxy.url('socks5h')
      const socket = new WebSocket(server.url.replace('127.0.0.1', 'a.example'))
      await new Promise((resolve) => { socket.onopen = socket.onerror = resolve })
      console.log(socket.readyState)
      await server.close()
      await proxy[Symbol.asyncDispose]()
    `
    assert.equal(await run(fakeTimers + socks), '1')
  })
})
