import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { channel } from 'node:diagnostics_channel'
import { addAbortListener, once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep, setInterval as ticks } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { processWheel } from '../src/conn/timer-wheel.ts'
import { assertNoLeaks } from './leaks.ts'
import { filesBelow, root } from './repo.ts'

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

test('a child process and a worker that nobody waits for: named, until they have ended', async () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  await once(child, 'spawn')
  child.unref()
  const worker = new Worker('setInterval(() => {}, 1000)', { eval: true })
  await once(worker, 'online')
  for (const unref of [() => {}, () => worker.unref()]) {
    unref()
    await assert.rejects(
      assertNoLeaks(20),
      /left behind: (?:Worker \(1\), )?child process, .*leaks\.test\.ts.* \(1\), worker, .*leaks\.test\.ts.* \(1\)/,
    )
  }
  child.ref()
  child.kill('SIGKILL')
  await Promise.all([once(child, 'exit'), worker.terminate()])
  await assertNoLeaks()
})

test('an unreferenced timer that is set again: named, also when it had fired', async () => {
  const timer = setTimeout(() => undefined, 1)
  timer.unref()
  await sleep(5)
  const other = setTimeout(() => undefined, 1)
  other.unref()
  clearTimeout(other)
  // It has fired, and runs again: as a deadline that is put off does.
  timer.refresh()
  clearTimeout(timer)
  await assertNoLeaks(0)
  const long = setTimeout(() => undefined, 60_000)
  long.unref()
  long.refresh()
  await assert.rejects(assertNoLeaks(20), /unreferenced timer, at .*leaks\.test\.ts/)
  clearTimeout(long)
  await assertNoLeaks(0)
})

test('a listener on a signal that Node has put there: named', async () => {
  const controller = new AbortController()
  const { [Symbol.dispose]: dispose } = addAbortListener(controller.signal, () => {})
  await assert.rejects(assertNoLeaks(20), /listener on an AbortSignal, at .*leaks\.test\.ts/)
  dispose()
  await assertNoLeaks()
  controller.abort()
})

test('what is only just closing gets its time', async () => {
  let fired = false
  setTimeout(() => {
    fired = true
  }, 60)
  await assertNoLeaks()
  assert.ok(fired)
})

test('an unreferenced timer: named with its place, until it has fired or is cleared', async () => {
  const interval = setInterval(() => undefined, 60_000)
  interval.unref()
  await assert.rejects(
    assertNoLeaks(20),
    /left behind: unreferenced timer, at .*leaks\.test\.ts:\d+.* \(1\)$/,
  )
  clearInterval(interval)
  await assertNoLeaks(0)
  await new Promise<void>((resolve) => {
    setTimeout(resolve, 1).unref()
    setTimeout(() => undefined, 20)
  })
  await assertNoLeaks()
})

test('an unreferenced server: named, until it is closed', async () => {
  for (const server of [createServer(), createHttpServer()]) {
    server.listen(0, '127.0.0.1').unref()
    await once(server, 'listening')
    await assert.rejects(assertNoLeaks(20), { message: 'left behind: server that listens (1)' })
    server.close()
    await assertNoLeaks(0)
  }
})

test('a listener of the process: named, until it is off', async () => {
  const listener = (): void => {}
  for (const event of ['uncaughtException', 'warning', 'SIGUSR2'] as const) {
    process.on(event, listener)
    await assert.rejects(
      assertNoLeaks(20),
      new RegExp(`listener for ${event} of the process, at .*leaks\\.test`),
    )
    process.off(event, listener)
    await assertNoLeaks()
  }
})

test('a subscriber of a channel of ours: named, until it has left', async () => {
  const listener = (): void => {}
  channel('silverback:refuse').subscribe(listener)
  await assert.rejects(assertNoLeaks(20), { message: 'left behind: subscriber of silverback:refuse (1)' })
  channel('silverback:refuse').unsubscribe(listener)
  await assertNoLeaks(0)
})

test('a deadline of the wheel: named, until it is cancelled', async () => {
  const entry = { wheelNext: undefined, wheelPrevious: undefined, wheelDue: 0, onDue() {} }
  processWheel.schedule(entry, 60_000)
  await assert.rejects(assertNoLeaks(20), /deadline of the wheel \(1\)/)
  processWheel.cancel(entry)
  await assertNoLeaks(0)
})

const onNode = process.versions['bun'] === undefined && process.versions['deno'] === undefined

test('an unreferenced timer of timers/promises: named with its place, until it has fired or is aborted', {
  skip: !onNode,
}, async () => {
  const stop = new AbortController()
  const long = sleep(60_000, undefined, { ref: false, signal: stop.signal })
  const every = ticks(60_000, undefined, { ref: false, signal: stop.signal })
  const ended = Promise.all([assert.rejects(long), assert.rejects(every.next())])
  await assert.rejects(
    assertNoLeaks(20),
    /unreferenced timer of timers\/promises, at .*leaks\.test.* unreferenced interval of timers\/promises/,
  )
  stop.abort()
  await ended
  await assertNoLeaks(0)
  await Promise.all([sleep(1, undefined, { ref: false }), sleep(5)])
  await assertNoLeaks(0)
})

test('AbortSignal.timeout: named with its place, until it has fired or nobody has it any more', {
  skip: !onNode,
}, async () => {
  let signal: AbortSignal | undefined = AbortSignal.timeout(60_000)
  await assert.rejects(assertNoLeaks(20), /left behind: AbortSignal\.timeout, at .*leaks\.test\.ts/)
  assert.equal(signal.aborted, false)
  signal = undefined
  await assertNoLeaks()
  signal = AbortSignal.timeout(5)
  await assertNoLeaks()
  assert.ok(signal.aborted)
})

test('a listener on an AbortSignal: named with its place, until it is off', { skip: !onNode }, async () => {
  const named = /left behind: listener on an AbortSignal, at .*leaks\.test\.ts:.* \(1\)$/
  const listener = (): void => {}
  for (const [options, capture] of [
    [undefined, false],
    [true, true],
    [{ once: true }, false],
    [{ capture: true, once: true }, true],
  ] as const) {
    const { signal } = new AbortController()
    signal.addEventListener('abort', listener, options)
    signal.addEventListener('abort', listener, options)
    signal.removeEventListener('abort', () => {})
    signal.removeEventListener('abort', listener, !capture)
    await assert.rejects(assertNoLeaks(20), named)
    signal.removeEventListener('abort', listener, { capture })
    await assertNoLeaks(0)
  }
  const [by, until] = [new AbortController(), new AbortController()]
  by.signal.addEventListener('abort', listener, { signal: until.signal })
  await assert.rejects(assertNoLeaks(20), named)
  until.abort()
  await assertNoLeaks(0)
  by.signal.addEventListener('abort', listener)
  by.abort()
  by.signal.addEventListener('abort', listener)
  await assertNoLeaks(0)
})

test('a listener on a signal that nobody has any more is none', { skip: !onNode }, async () => {
  ;(() => {
    const { signal } = new AbortController()
    signal.addEventListener('abort', () => signal.reason)
  })()
  await assertNoLeaks()
})

/** What a file has that opens sockets, or starts timers or processes. */
const opens = [
  /from 'node:(net|tls|http|https|http2|child_process|cluster)'/,
  /import \{[^}]*\b(dial|serve|reconnect|WebSocket|WebSocketStream)\b[^}]*\} from '(silverback|\.)/,
  /from '[./]+(support\/(answering-server|connected-pair|fault-proxy|scripted-server|serving|test-server)|raw-client|program|demo-process|example-process)\.ts'/,
  /\b(setTimeout|setInterval)\(/,
]

test('every test file that opens anything checks what it leaves', () => {
  const files = [...filesBelow('src', '.test.ts'), ...filesBelow('test', '.test.ts')]
  const missing = files.filter((path) => {
    const source = readFileSync(join(root, path), 'utf8').replace(/^import type .*/gm, '')
    return (
      opens.some((pattern) => pattern.test(source)) &&
      !/after\([^\n]*assertNoLeaks|await assertNoLeaks/.test(source)
    )
  })
  assert.deepEqual(missing, [])
})
