import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { assertNoLeaks } from '../../test/leaks.ts'
import { Pages } from './pages.ts'

after(() => assertNoLeaks())

const PAGE = 8 * 1024

describe('Pages', () => {
  it('cuts pieces that do not overlap, eight bytes apart, from one page until it is full', () => {
    const pages = new Pages()
    const pieces = Array.from({ length: 8 }, () => pages.cut(1021))
    const [first] = pieces as [Buffer]
    assert.equal(first.buffer.byteLength, PAGE)
    for (const [i, piece] of pieces.entries()) {
      assert.equal(piece.length, 1021)
      assert.equal(piece.buffer, first.buffer)
      assert.equal(piece.byteOffset, i * 1024)
    }
    assert.notEqual(pages.cut(1).buffer, first.buffer)
  })

  it('gives a long piece memory of its own', () => {
    const pages = new Pages()
    assert.equal(pages.cut(2048).buffer.byteLength, PAGE)
    assert.equal(pages.cut(2049).buffer.byteLength, 2049)
    assert.equal(pages.cut(100_000).buffer.byteLength, 100_000)
  })

  it('shares no page with other pages, nor with the application', () => {
    const pieces = [new Pages().cut(10), new Pages().cut(10), Buffer.allocUnsafe(10)]
    assert.equal(new Set(pieces.map((piece) => piece.buffer)).size, 3)
  })

  it('cuts from pages that cannot be given away, since the other pieces would go along', () => {
    const piece = new Pages().cut(10)
    const { port1, port2 } = new MessageChannel()
    try {
      // Up to Node 20 the wish is ignored, then refused.
      port1.postMessage(piece, [piece.buffer as ArrayBuffer])
    } catch (error) {
      assert.equal((error as Error).name, 'DataCloneError')
    }
    assert.equal(piece.length, 10)
    port1.close()
    port2.close()
  })
})
