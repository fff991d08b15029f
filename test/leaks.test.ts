import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { after, test } from 'node:test'
import { assertNoLeaks } from './leaks.ts'

after(() => assertNoLeaks())

test('nothing left: passes', async () => {
  await assertNoLeaks(0)
})

test('a timer: named, until it is cleared', async () => {
  const timer = setTimeout(() => undefined, 60_000)
  await assert.rejects(assertNoLeaks(20), { message: 'left behind: Timeout (1)' })
  clearTimeout(timer)
  await assertNoLeaks()
})

test('a server and both ends of a connection: named, until they are closed', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const client = connect(address.port, '127.0.0.1')
  const [socket] = await once(server, 'connection')
  await assert.rejects(assertNoLeaks(20), /TCPServerWrap \(1\)/)
  await assert.rejects(assertNoLeaks(20), /TCPSocketWrap \(2\)/)
  client.destroy()
  socket.destroy()
  server.close()
  await assertNoLeaks()
})

test('a child process: named, until it has ended', async () => {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  await once(child, 'spawn')
  await assert.rejects(assertNoLeaks(20), /ProcessWrap \(1\)/)
  child.stdin.end()
  await once(child, 'exit')
  await assertNoLeaks()
})

test('what is only just closing gets its time', async () => {
  let fired = false
  setTimeout(() => {
    fired = true
  }, 60)
  await assertNoLeaks()
  assert.ok(fired)
})
