import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { snapshot, toArrayBuffer, toMessageData } from './message-data.ts'

const shared = new SharedArrayBuffer(4)
const resizable = new (ArrayBuffer as new (length: number, options: object) => ArrayBuffer)(2, {
  maxByteLength: 4,
})

describe('toMessageData', () => {
  it('takes the bytes that a view shows', () => {
    const bytes = new Uint8Array([1, 2, 3, 4])
    for (const [given, expected] of [
      [bytes.buffer, [1, 2, 3, 4]],
      [bytes.subarray(1, 3), [2, 3]],
      [new DataView(bytes.buffer, 3), [4]],
      [new Uint16Array(bytes.buffer, 2), [3, 4]],
      [Buffer.from('ab'), [97, 98]],
      [new ArrayBuffer(0), []],
    ] as const)
      assert.deepEqual([...(toMessageData(given, 'send') as Uint8Array)], expected)
  })

  it('takes text of anything else', () => {
    for (const [given, text] of [
      ['a\ud800', 'a\ufffd'],
      [5, '5'],
      [undefined, 'undefined'],
      [{}, '[object Object]'],
      [[1, 2], '1,2'],
    ])
      assert.equal(toMessageData(given, 'send'), text)
    assert.throws(() => toMessageData(Symbol('x'), 'send'), TypeError)
  })

  it('finds nothing in a buffer that was transferred', () => {
    const buffer = new ArrayBuffer(3)
    const view = new Uint8Array(buffer, 1)
    structuredClone(buffer, { transfer: [buffer] })
    for (const given of [buffer, view]) assert.equal(toMessageData(given, 'send').length, 0)
  })

  it('takes no memory that may change under its hands', () => {
    for (const given of [shared, new Uint8Array(shared), resizable, new Uint8Array(resizable)])
      assert.throws(() => toMessageData(given, 'send'), { name: 'TypeError', message: /^send: / })
  })
})

describe('snapshot', () => {
  it('copies what the connection would not, or what is kept', () => {
    const short = new Uint8Array(16_384)
    const long = new Uint8Array(16_385).fill(1)
    assert.equal(snapshot(short, 'sent'), short)
    for (const copy of [snapshot(long, 'sent'), snapshot(long, 'kept')]) {
      assert.deepEqual(copy, long)
      assert.notEqual((copy as Uint8Array).buffer, long.buffer)
    }
    assert.notEqual(snapshot(short, 'kept'), short)
    assert.equal(snapshot('text', 'kept'), 'text')
  })
})

describe('toArrayBuffer', () => {
  it('is the whole buffer, or a copy of a part', () => {
    const bytes = new Uint8Array([1, 2, 3])
    assert.equal(toArrayBuffer(bytes), bytes.buffer)
    const part = toArrayBuffer(bytes.subarray(1))
    assert.deepEqual([...new Uint8Array(part)], [2, 3])
    assert.notEqual(part, bytes.buffer)
    assert.equal(toArrayBuffer(new Uint8Array(0)).byteLength, 0)
  })
})
