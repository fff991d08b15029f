import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { payloadFault, protocolFault, sizeFault } from '../protocol/fault.ts'
import { LimitError, ProtocolError } from '../session/errors.ts'
import { faultToError } from './fault-to-error.ts'

describe('faultToError', () => {
  it('makes a ProtocolError of a broken rule', () => {
    for (const fault of [
      protocolFault('ERR_WS_RESERVED_BITS', 'reserved bit set'),
      payloadFault('ERR_WS_INVALID_UTF8', 'text is not UTF-8'),
    ]) {
      const error = faultToError(fault)
      assert.ok(error instanceof ProtocolError)
      const { code, closeCode, message } = error
      assert.deepEqual({ code, closeCode, message }, fault)
    }
  })

  it('makes a LimitError of what is too large', () => {
    const error = faultToError(sizeFault('maxMessageSize', 11, 10))
    assert.ok(error instanceof LimitError)
    assert.deepEqual(
      [error.code, error.closeCode, error.limit, error.actual, error.max],
      ['ERR_WS_MESSAGE_TOO_LARGE', 1009, 'maxMessageSize', 11, 10],
    )
  })
})
