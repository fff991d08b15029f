import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ChunkList } from './chunk-list.ts'

const KiB = 1024

function takeAll(list: ChunkList): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let chunk = list.shift(); chunk !== undefined; chunk = list.shift()) chunks.push(chunk)
  return chunks
}

describe('a list of chunks', () => {
  it('gives the bytes in order, whatever the pieces, and counts them', () => {
    const size = fc.oneof(fc.nat(300), fc.nat(20_000), fc.constantFrom(4095, 4096, 16_383, 16_384, 16_385))
    fc.assert(
      fc.property(fc.array(fc.option(size, { nil: 'shift' as const }), { maxLength: 60 }), (steps) => {
        const list = new ChunkList()
        const [given, got]: [Buffer[], Uint8Array[]] = [[], []]
        let bytes = 0
        for (const [i, step] of steps.entries()) {
          if (step === 'shift') {
            const chunk = list.shift()
            assert.equal(chunk === undefined, bytes === 0)
            if (chunk === undefined) continue
            assert.ok(chunk.length > 0)
            got.push(chunk)
            bytes -= chunk.length
          } else {
            // In the middle of something larger, as a chunk of a socket.
            const piece = Buffer.alloc(step + 20, `${i};`)
            list.push(piece, 10, 10 + step)
            given.push(Buffer.from(piece.subarray(10, 10 + step)))
            bytes += step
          }
          assert.equal(list.bytes, bytes)
        }
        got.push(...takeAll(list))
        assert.equal(list.bytes, 0)
        assert.ok(Buffer.concat(got).equals(Buffer.concat(given)))
      }),
      { numRuns: 200 },
    )
  })

  it('puts tiny pieces together, and leaves large ones as they are', () => {
    const list = new ChunkList()
    for (let i = 0; i < 100_000; i++) list.push(Buffer.of(i & 0xff), 0, 1)
    const large = Buffer.alloc(5 * KiB, 'x')
    list.push(large, 0, large.length)
    const chunks = takeAll(list)
    assert.equal(chunks.length, Math.ceil(100_000 / (16 * KiB)) + 1)
    assert.deepEqual(new Set(chunks.slice(0, -2).map(({ length }) => length)), new Set([16 * KiB]))
    assert.equal(chunks.at(-1)?.buffer, large.buffer)
  })

  it('keeps the memory of its bytes and little more, however these come', () => {
    const ways: [string, (list: ChunkList, read: Buffer) => void][] = [
      ['one byte at a time', (list, read) => list.push(read, 0, 1)],
      [
        'a byte, then a longer piece',
        (list, read) => {
          list.push(read, 0, 1)
          list.push(read, 1, 4097)
        },
      ],
    ]
    for (const [way, push] of ways) {
      const list = new ChunkList()
      const read = Buffer.alloc(64 * KiB)
      while (list.bytes < 256 * KiB) push(list, read)
      const held = new Set(takeAll(list).map(({ buffer }) => buffer))
      const memory = [...held].reduce((sum, { byteLength }) => sum + byteLength, 0)
      assert.ok(memory < 2 * 256 * KiB, `${way}: ${memory} bytes`)
    }
  })

  it('can be cleared', () => {
    const list = new ChunkList()
    list.push(Buffer.alloc(10 * KiB), 0, 10 * KiB)
    list.push(Buffer.alloc(10), 0, 10)
    list.clear()
    assert.deepEqual([list.bytes, list.shift()], [0, undefined])
    list.push(Buffer.from('x'), 0, 1)
    assert.equal(String(list.shift()), 'x')
  })
})
