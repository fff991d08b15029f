import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { readBody, readTunnelBody } from './refusal-body.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const long = 'x'.repeat(5000)

/** What is read, and how often that was told. */
class Reading {
  readonly stream = new PassThrough()
  readonly done: string[] = []
  readonly finish: () => void

  constructor(start: (stream: PassThrough, done: (body: string) => void) => () => void) {
    this.finish = start(this.stream, (body) => this.done.push(body))
  }

  async write(...chunks: (string | Buffer)[]): Promise<this> {
    for (const chunk of chunks) {
      this.stream.write(chunk)
      await turn()
    }
    return this
  }
}

describe('readBody', () => {
  const read = (): Reading =>
    new Reading((stream, done) => readBody(stream as unknown as IncomingMessage, done))

  it('reads to the end', async () => {
    const reading = await read().write('a', 'é')
    assert.deepEqual(reading.done, [])
    reading.stream.end()
    await turn()
    assert.equal(reading.done[0], 'aé')
  })

  it('reads up to a KiB', async () => {
    assert.deepEqual((await read().write(long)).done, [long.slice(0, 1024)])
  })

  it('takes what there is when it is told to, or the connection breaks', async () => {
    const told = await read().write('half')
    told.finish()
    assert.equal(told.done[0], 'half')
    const broken = await read().write('half')
    broken.stream.destroy(new Error('reset'))
    await turn()
    assert.equal(broken.done[0], 'half')
  })
})

describe('readTunnelBody', () => {
  const read = (headers: Record<string, string>, head = ''): Reading =>
    new Reading((stream, done) => readTunnelBody(stream, headers, Buffer.from(head), done))
  const chunked = { 'transfer-encoding': 'chunked' }

  const whole: [
    name: string,
    headers: Record<string, string>,
    head: string,
    chunks: string[],
    body: string,
  ][] = [
    ['of a known length, at once', { 'content-length': '3' }, 'abcdef', [], 'abc'],
    ['of a known length, in pieces', { 'content-length': '3' }, 'a', ['b', 'cd'], 'abc'],
    ['of no length', { 'content-length': '0' }, '', [], ''],
    ['longer than a KiB', { 'content-length': '9999' }, 'x', [long], long.slice(0, 1024)],
    ['without a length, longer than a KiB', {}, '', [long], long.slice(0, 1024)],
    ['in chunks', chunked, '3\r\nab', ['c\r\n2;x=y\r\nde\r', '\n0\r\n', '\r\n'], 'abcde'],
    ['in chunks, without any', chunked, '0\r\n\r\n', [], ''],
    ['in a chunk longer than a KiB', chunked, '1388\r\n', [long], long.slice(0, 1024)],
    ['in chunks that end in no chunk', chunked, '1\r\na\r\nxyz\r\n', [], 'a'],
    ['in chunks of no size', chunked, '-5\r\na', [], ''],
    [
      'in a chunk that is said to be huge',
      chunked,
      'ffffffffffffffff\r\nab',
      [long],
      `ab${long.slice(0, 1022)}`,
    ],
    ['in an endless line', chunked, '', [long, long], ''],
  ]
  for (const [name, headers, head, chunks, body] of whole) {
    it(name, async () => {
      const reading = await read(headers, head).write(...chunks)
      assert.deepEqual(reading.done, [body])
      reading.finish()
      assert.deepEqual(reading.done, [body])
      assert.deepEqual(reading.stream.listeners('data'), [])
    })
  }

  const cut: [name: string, headers: Record<string, string>, chunks: string[], body: string][] = [
    ['of a known length', { 'content-length': '9' }, ['abc'], 'abc'],
    ['of a length that is none', { 'content-length': 'x' }, ['abc'], 'abc'],
    ['without a length', {}, ['a', 'bc'], 'abc'],
    ['in chunks', chunked, ['2\r\nab\r\n9\r\ncd'], 'abcd'],
    ['nothing', {}, [], ''],
  ]
  for (const [name, headers, chunks, body] of cut) {
    it(`cut short: ${name}`, async () => {
      const ended = await read(headers).write(...chunks)
      ended.stream.end()
      const broken = await read(headers).write(...chunks)
      broken.stream.on('error', () => {}).destroy(new Error('reset'))
      const told = await read(headers).write(...chunks)
      told.finish()
      await turn()
      for (const { done } of [ended, broken, told]) assert.deepEqual(done, [body])
    })
  }

  it('byte by byte', async () => {
    const text = `${(1500).toString(16)}\r\n${'y'.repeat(1500)}\r\n0\r\n\r\n`
    const reading = read(chunked)
    for (const character of text) reading.stream.write(character)
    await turn()
    await turn()
    assert.deepEqual(reading.done, ['y'.repeat(1024)])
  })
})
