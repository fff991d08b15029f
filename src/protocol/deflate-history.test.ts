import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DeflateHistory } from './deflate-history.ts'

test('it holds the last bytes of all that was appended, whatever the pieces', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 30 }), (pieces) => {
      const history = new DeflateHistory(1024)
      let all = Buffer.alloc(0)
      for (const piece of pieces) {
        history.append(piece)
        all = Buffer.concat([all, piece])
        assert.ok(history.bytes.equals(all.subarray(Math.max(0, all.length - 1024))))
      }
    }),
  )
})

test('a piece of the window and one beyond it', () => {
  for (const length of [255, 256, 257, 1000]) {
    const history = new DeflateHistory(256)
    history.append(Buffer.from('before'))
    const piece = Buffer.from(Array.from({ length }, (_, i) => i))
    history.append(piece)
    const wanted = Buffer.concat([Buffer.from('before'), piece]).subarray(-256)
    assert.deepEqual(history.bytes, wanted, `${length} bytes`)
  }
})

test('it copies what it gets', () => {
  const piece = Buffer.from('bytes')
  const history = new DeflateHistory(256)
  history.append(piece)
  piece.fill(0)
  assert.equal(history.bytes.toString(), 'bytes')
})

test('it holds no more memory than it needs: not the window for few bytes, never more than the window', () => {
  const history = new DeflateHistory(32768)
  history.append(Buffer.alloc(10))
  assert.equal(history.bytes.buffer.byteLength, 512)
  for (let i = 0; i < 1000; i++) history.append(Buffer.alloc(100))
  assert.equal(history.bytes.buffer.byteLength, 32768)
  history.append(Buffer.alloc(1 << 20))
  assert.equal(history.bytes.buffer.byteLength, 32768)
})

test('clear lets everything go', () => {
  const history = new DeflateHistory(1024)
  history.append(Buffer.alloc(1000))
  history.clear()
  assert.equal(history.bytes.length, 0)
  assert.equal(history.bytes.buffer.byteLength, 0)
  history.append(Buffer.from('anew'))
  assert.equal(history.bytes.toString(), 'anew')
})
