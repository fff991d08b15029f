import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { getEventListeners, once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { type ConnectedPair, connectedPair } from '../../test/support/connected-pair.ts'
import { turn } from '../../test/support/test-link.ts'
import { CloseError, UsageError } from '../session/errors.ts'
import { joinMessages } from './join-messages.ts'

after(() => assertNoLeaks())

const MiB = 1024 * 1024
const limits = { maxStreamSize: 64 * MiB, maxSendBuffer: 64 * MiB }

function pair(): Promise<ConnectedPair> {
  return connectedPair({ server: { limits, onError() {} }, client: { limits } })
}

async function textOf(stream: Readable): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += chunk
  return text
}

describe('joinMessages', () => {
  it('gives the messages of both types as one stream, each with the terminator behind it', async () => {
    for (const terminator of ['\n', Buffer.from('\n'), '', '€']) {
      await using ends = await pair()
      for (const message of ['one', Buffer.from('two'), '', Buffer.alloc(0), 'thrée'])
        ends.client.send(message)
      void ends.client.close()
      const text = await textOf(joinMessages(ends.server, terminator))
      const end = String(terminator)
      assert.equal(text, `one${end}two${end}${end}${end}thrée${end}`)
    }
  })

  it('puts no terminator where none is given', async () => {
    await using ends = await pair()
    ends.client.send('one')
    ends.client.send('two')
    void ends.client.close()
    assert.equal(await textOf(joinMessages(ends.server)), 'onetwo')
  })

  it('gives the beginning of a message before its end has come', async () => {
    await using ends = await pair()
    const writer = ends.client.writeStream('text')
    const joined = joinMessages(ends.server, '.').setEncoding('utf8')
    const chunks = joined[Symbol.asyncIterator]()
    for (const text of ['begin', 'middle']) {
      await writer.write(text)
      assert.equal((await chunks.next()).value, text)
    }
    await writer.close()
    assert.equal((await chunks.next()).value, '.')
  })

  it('holds the peer back, and loses nothing', async () => {
    await using ends = await pair()
    const { client, server } = ends
    const data = randomBytes(MiB)
    const sending = (async () => {
      const writer = client.writeStream()
      for (let i = 0; i < 32; i++) await writer.write(data)
      await writer.close()
      await client.close()
    })()
    let [length, most] = [0, 0]
    const slow = new Writable({
      highWaterMark: 1,
      write(chunk: Buffer, _encoding, callback) {
        assert.ok(chunk.equals(data.subarray(length % MiB, (length % MiB) + chunk.length)))
        length += chunk.length
        most = Math.max(most, server.stats.bytesReceived - length)
        setImmediate(callback)
      },
    })
    await pipeline(joinMessages(server), slow)
    await sending
    assert.equal(length, 32 * MiB)
    assert.ok(most < 2 * MiB, `${most} bytes were ahead of the reader`)
  })

  it('is as good as a Web stream, and line by line', async () => {
    await using ends = await pair()
    for (const text of ['one', 'two']) ends.client.send(text)
    void ends.client.close()
    const web = Readable.toWeb(joinMessages(ends.server, '\n'))
    let text = ''
    for await (const chunk of web) text += Buffer.from(chunk as Uint8Array).toString()
    assert.equal(text, 'one\ntwo\n')

    await using others = await pair()
    for (const line of ['one', 'two']) others.client.send(line)
    void others.client.close()
    const lines: string[] = []
    for await (const line of createInterface({ input: joinMessages(others.server, '\n') })) lines.push(line)
    assert.deepEqual(lines, ['one', 'two'])
  })

  it('keeps characters whole that are cut between frames', async () => {
    await using ends = await pair()
    const bytes = Buffer.from('a€😀'.repeat(100))
    const writer = ends.client.writeStream('text')
    void (async () => {
      for (const byte of bytes) await writer.write(Buffer.of(byte))
      await writer.close()
      await ends.client.close()
    })()
    assert.equal(await textOf(joinMessages(ends.server).setEncoding('utf8')), String(bytes))
  })

  it('fails with the CloseError, behind all that came, when the connection does not end in order', async () => {
    for (const end of ['4000', 'lost']) {
      await using ends = await pair()
      const chunks: string[] = []
      const reading = (async () => {
        for await (const chunk of joinMessages(ends.server, '.')) chunks.push(String(chunk))
      })()
      ends.client.send('whole')
      await ends.client.writeStream('text').write('only the beginning')
      await ends.client.ping()
      if (end === 'lost') ends.client.terminate()
      else void ends.client.close(4000)
      await assert.rejects(
        reading,
        (error) => error instanceof CloseError && error.info.code === (end === 'lost' ? 1006 : 4000),
      )
      assert.deepEqual(chunks, ['whole', '.', 'only the beginning'])
    }
  })

  it('does not end the process when nobody listens for its error', async () => {
    await using ends = await pair()
    const joined = joinMessages(ends.server)
    joined.resume()
    ends.client.terminate()
    await new Promise((resolve) => joined.once('close', resolve))
    assert.ok(joined.errored instanceof CloseError)
  })

  it('releases the connection when it is left: the next message is for the next reader', async () => {
    await using ends = await pair()
    const { client, server } = ends
    for (const text of ['one', 'two', 'three']) client.send(text)
    client.send(Buffer.alloc(10 * MiB))
    client.send('last')
    for await (const chunk of joinMessages(server, '\n')) {
      assert.equal(String(chunk), 'one')
      // Nothing is read ahead.
      await turn()
      break
    }
    assert.equal(await server.read(), 'two')
    const joined = joinMessages(server)
    for await (const chunk of joined) if (chunk.length > 100) break
    assert.equal(joined.destroyed, true)
    assert.equal(await server.read(), 'last')
    assert.equal(server.state, 'open')
  })

  it('releases it also while it waits, for a message or in the middle of one', async () => {
    await using ends = await pair()
    const { client, server } = ends
    const joined = joinMessages(server)
    const waiting = joined[Symbol.asyncIterator]().next()
    await turn()
    joined.destroy()
    await assert.rejects(waiting, { code: 'ERR_STREAM_PREMATURE_CLOSE' })
    client.send('mine')
    assert.equal(await server.read(), 'mine')

    const writer = client.writeStream('text')
    await writer.write('begun')
    const other = joinMessages(server)
    const chunks = other[Symbol.asyncIterator]()
    assert.equal(String((await chunks.next()).value), 'begun')
    const more = chunks.next()
    await turn()
    other.destroy()
    await assert.rejects(more, { code: 'ERR_STREAM_PREMATURE_CLOSE' })
    await writer.write('the rest')
    await writer.close()
    client.send('next')
    assert.equal(await server.read(), 'next')
  })

  it('fails with the reason of its signal, and leaves the connection open', async () => {
    await using ends = await pair()
    const controller = new AbortController()
    const reading = textOf(joinMessages(ends.server, '', { signal: controller.signal }))
    const reason = new Error('enough')
    controller.abort(reason)
    await assert.rejects(reading, (error) => error === reason)
    await assert.rejects(
      textOf(joinMessages(ends.server, '', { signal: controller.signal })),
      (error) => error === reason,
    )
    ends.client.send('mine')
    assert.equal(await ends.server.read(), 'mine')
  })

  it('leaves no listener on the signal', async () => {
    await using ends = await pair()
    const { signal } = new AbortController()
    const joined = joinMessages(ends.server, '', { signal })
    assert.equal(getEventListeners(signal, 'abort').length, 1)
    joined.destroy()
    await once(joined, 'close')
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  it('refuses what it does not know', async () => {
    await using ends = await pair()
    const bad = (error: unknown) => error instanceof UsageError
    assert.throws(() => joinMessages(ends.server, 10 as unknown as string), bad)
    assert.throws(() => joinMessages(ends.server, '', { singal: undefined } as object), bad)
    assert.throws(() => joinMessages(ends.server, '', { signal: {} as AbortSignal }), bad)
  })

  it('is refused at once where a listener takes the messages', async () => {
    await using ends = await pair()
    ends.server.onMessage(() => {})
    assert.throws(() => joinMessages(ends.server), { code: 'ERR_WS_CONCURRENT_READ' })
  })
})
