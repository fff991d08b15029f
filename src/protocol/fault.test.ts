import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { payloadFault, protocolFault, sizeFault } from './fault.ts'

describe('a fault', () => {
  it('of framing closes with 1002', () => {
    assert.deepEqual(protocolFault('ERR_WS_RESERVED_BITS', 'reserved bit set'), {
      code: 'ERR_WS_RESERVED_BITS',
      closeCode: 1002,
      message: 'reserved bit set',
    })
  })

  it('of a payload closes with 1007', () => {
    assert.equal(payloadFault('ERR_WS_INVALID_UTF8', 'text is not UTF-8').closeCode, 1007)
  })

  it('of size closes with 1009 and names the limit', () => {
    assert.deepEqual(sizeFault('maxFrameSize', 11, 10), {
      code: 'ERR_WS_FRAME_TOO_LARGE',
      closeCode: 1009,
      message: 'frame of more than 10 bytes',
      limit: { limit: 'maxFrameSize', actual: 11, max: 10 },
    })
    assert.deepEqual(sizeFault('maxMessageSize', Number.MAX_SAFE_INTEGER, 5), {
      code: 'ERR_WS_MESSAGE_TOO_LARGE',
      closeCode: 1009,
      message: 'message of more than 5 bytes',
      limit: { limit: 'maxMessageSize', actual: Number.MAX_SAFE_INTEGER, max: 5 },
    })
  })
})
