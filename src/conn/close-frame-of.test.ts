import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ProtocolError } from '../session/errors.ts'
import { closeFrameOf } from './close-frame-of.ts'

describe('closeFrameOf', () => {
  it('is what the error says', () => {
    const error = new ProtocolError('ERR_WS_MESSAGE_TYPE', 1003, 'no text')
    assert.deepEqual(closeFrameOf(error), { code: 1003, reason: 'no text' })
    assert.deepEqual(closeFrameOf({ closeCode: 4000, reason: 'why' }), { code: 4000, reason: 'why' })
    assert.deepEqual(closeFrameOf({ closeCode: 4000, reason: 5 }), { code: 4000, reason: '' })
    const long = closeFrameOf({ closeCode: 4000, reason: 'é'.repeat(100) })
    assert.deepEqual(long, { code: 4000, reason: 'é'.repeat(61) })
  })

  it('is none where the error has no code that may be sent', () => {
    for (const error of [undefined, null, 'text', new Error('x'), { closeCode: 1006 }, { closeCode: '1000' }])
      assert.equal(closeFrameOf(error), undefined)
  })
})
