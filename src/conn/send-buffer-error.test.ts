import assert from 'node:assert/strict'
import { it } from 'node:test'
import { sendBufferError } from './send-buffer-error.ts'

it('sendBufferError says how much waits, and how much may', () => {
  const { code, closeCode, limit, actual, max, message } = sendBufferError(11, 10)
  assert.deepEqual(
    [code, closeCode, limit, actual, max],
    ['ERR_WS_SEND_BUFFER_FULL', 1013, 'maxSendBuffer', 11, 10],
  )
  assert.equal(message, '11 bytes wait to be sent, more than 10')
})
