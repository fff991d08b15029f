// A server that is stopped and goes on, with clients that wait for it, and one that does not.

import assert from 'node:assert/strict'
import { type Conn, dial, type LogEntry, reconnect } from 'silverback'
import { EchoChild } from './echo-process.ts'

/** A shorter sleep shows nothing: the server would have waited for the pong that comes late in any case. Seconds. */
export const LEAST_SLEEP = 5

/** A client that has been pinged, and has not answered yet. */
class Pinged implements AsyncDisposable {
  readonly conn: Conn
  readonly #payload: Uint8Array

  private constructor(conn: Conn, payload: Uint8Array) {
    this.conn = conn
    this.#payload = payload
  }

  /** @param pongTimeout - how long the server waits for its pongs */
  static async connect(url: string, pongTimeout: number): Promise<Pinged> {
    const conn = await dial(`${url}?pongTimeout=${pongTimeout}`, { limits: { pingInterval: 0 } })
    const payload = await new Promise<Uint8Array>((resolve, reject) => {
      conn.onControl({ ping: resolve, autoPong: false })
      void conn.closed.then(({ code }) => reject(new Error(`closed with ${code} before a ping`)))
    })
    return new Pinged(conn, payload)
  }

  /** Answers, this ping and all that come. Resolves when the next one comes: so the server has taken the answer. */
  async answer(who: string): Promise<void> {
    const next = new Promise<void>((resolve, reject) => {
      this.conn.onControl({ ping: () => resolve(), autoPong: true })
      void this.conn.closed.then(({ code }) => reject(new Error(`${who} was closed with ${code}`)))
    })
    // The peer may be gone: `next` tells.
    if (this.conn.state === 'open') this.conn.sendControl('pong', this.#payload)
    await next
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.conn.terminate()
    await this.conn.closed
  }
}

/**
 * Stops a server for so many seconds while two clients owe it a pong: one has so little time that a part of the sleep
 * would be too much, but sends its pong at once, so that it lies in the kernel; one sends it when the server is awake,
 * and has more time than may be counted of the sleep, but less than the whole. Both must be connected still.
 */
export async function waitThrough(
  child: EchoChild,
  url: string,
  seconds: number,
  onStop: () => void = () => {},
): Promise<void> {
  assert.ok(seconds >= LEAST_SLEEP, `${seconds} s are too short`)
  await using late = await Pinged.connect(url, 4_000)
  await using inTime = await Pinged.connect(url, 600)
  // It must be idle: from the midst of its work it would go on to reading, and not to its timers.
  await new Promise((resolve) => setTimeout(resolve, 50))
  child.signal('SIGSTOP')
  onStop()
  const answered = inTime.answer('who answered while the server slept')
  answered.catch(() => {})
  inTime.conn.send('meanwhile')
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
  child.signal('SIGCONT')
  // It pings again: so it has looked at its deadlines since it is awake.
  await answered
  await late.answer('who answered when the server was awake')
  assert.equal(await inTime.conn.read(), 'meanwhile')
  late.conn.send('afterwards')
  assert.equal(await late.conn.read(), 'afterwards')
  await Promise.all([late.conn.close(), inTime.conn.close()])
}

/**
 * Stops a server for so many seconds, with clients that wait, who must not be lost, and one that does not, and has to
 * come back. Resolves with what the log of that one has said.
 */
export async function sleepFor(
  seconds: number,
  onStop: (pid: number | undefined) => void,
): Promise<readonly string[]> {
  await using child = new EchoChild(1024)
  const url = await child.url()
  const entries: LogEntry[] = []
  const hasty = { pingInterval: 1_000, pongTimeout: 1_000, handshakeTimeout: 2_000, closeTimeout: 1_000 }
  const log = (entry: LogEntry): void => void entries.push(entry)
  let connected = (): void => {}
  const first = new Promise<void>((resolve) => {
    connected = resolve
  })
  const coming = (async () => {
    let times = 0
    for await (const conn of reconnect(url, {
      dial: { limits: hasty, log },
      minDelay: 100,
      maxDelay: 1_000,
    })) {
      conn.send('hello')
      assert.equal(await conn.read(), 'hello')
      connected()
      if (++times === 2) void conn.close()
      await conn.closed
    }
    assert.equal(times, 2)
  })()
  await Promise.race([first, coming])
  await Promise.all([coming, waitThrough(child, url, seconds, () => onStop(child.pid))])
  return entries.map(({ level, message }) => `${level} ${message}`)
}
