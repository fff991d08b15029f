import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { SurrogateJoiner } from './surrogate-joiner.ts'

describe('SurrogateJoiner', () => {
  it('puts together what was cut inside a character', () => {
    const halves = new SurrogateJoiner()
    assert.equal(halves.waits, false)
    assert.equal(halves.join('a\ud83d'), 'a')
    assert.equal(halves.waits, true)
    assert.equal(halves.join(''), '')
    assert.equal(halves.waits, true)
    assert.equal(halves.join('\ude00b'), '😀b')
    assert.equal(halves.waits, false)
    assert.equal(halves.flush(), '')
  })

  it('gives the first half alone where nothing follows', () => {
    const halves = new SurrogateJoiner()
    assert.equal(halves.join('\ud83d\ud83d'), '\ud83d')
    assert.equal(halves.flush(), '\ud83d')
    assert.equal(halves.flush(), '')
    assert.equal(halves.waits, false)
  })

  it('makes the same bytes of a text wherever it is cut', () => {
    const unit = fc.constantFrom('a', 'é', '\ud83d', '\ude00')
    fc.assert(
      fc.property(fc.array(fc.string({ unit, maxLength: 4 })), (pieces) => {
        const halves = new SurrogateJoiner()
        const encoded = [...pieces.map((piece) => halves.join(piece)), halves.flush()].map((text) =>
          Buffer.from(text, 'utf8'),
        )
        assert.deepEqual(Buffer.concat(encoded), Buffer.from(pieces.join(''), 'utf8'))
      }),
    )
  })
})
