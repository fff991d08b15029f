import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { encodeCloseReason, MAX_REASON_SIZE } from './close-payload.ts'

describe('the payload of a Close frame', () => {
  it('is code and reason', () => {
    const { payload, frame } = encodeCloseReason(1000, 'bye')
    assert.equal(Buffer.from(payload).toString('hex'), '03e8627965')
    assert.deepEqual(frame, { code: 1000, reason: 'bye' })
    assert.equal(Buffer.from(encodeCloseReason(4999, '').payload).toString('hex'), '1387')
  })

  it('is empty for 1005, whatever the reason', () => {
    const { payload, frame } = encodeCloseReason(1005, 'never sent')
    assert.equal(payload.length, 0)
    assert.deepEqual(frame, { code: 1005, reason: '' })
  })

  it('takes 123 bytes of reason and cuts the 124th', () => {
    assert.equal(MAX_REASON_SIZE, 123)
    assert.equal(encodeCloseReason(1000, 'x'.repeat(123)).payload.length, 125)
    const { payload, frame } = encodeCloseReason(1000, 'x'.repeat(124))
    assert.equal(payload.length, 125)
    assert.equal(frame.reason, 'x'.repeat(123))
  })

  it('is never cut inside a character', () => {
    // The last character begins 1, 2 and 3 bytes before the limit, and exactly at it.
    for (const fill of [120, 121, 122, 123]) {
      const { frame } = encodeCloseReason(1000, `${'x'.repeat(fill)}\u{1f98d}`)
      assert.equal(frame.reason, 'x'.repeat(fill))
    }
    const { frame } = encodeCloseReason(1000, `${'x'.repeat(119)}\u{1f98d}!`)
    assert.equal(frame.reason, `${'x'.repeat(119)}\u{1f98d}`)
  })

  it('says what the frame says, for any reason', () => {
    const unit = fc.integer({ min: 0, max: 0xffff })
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 4999 }), fc.array(unit, { maxLength: 200 }), (code, units) => {
        fc.pre(code !== 1005)
        const reason = String.fromCharCode(...units)
        const { payload, frame } = encodeCloseReason(code, reason)
        const bytes = Buffer.from(payload)
        assert.ok(bytes.length <= 125)
        assert.equal(bytes.readUInt16BE(0), code)
        assert.ok(isUtf8(bytes.subarray(2)))
        assert.deepEqual(frame, { code, reason: bytes.toString('utf8', 2) })
        const whole = Buffer.from(reason).toString()
        assert.ok(whole.startsWith(frame.reason))
        // Nothing was cut that had room.
        if (frame.reason !== whole) assert.ok(bytes.length - 2 > MAX_REASON_SIZE - 4)
      }),
    )
  })
})
