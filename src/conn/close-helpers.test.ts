import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TestLink } from '../../test/support/test-link.ts'
import { UsageError } from '../session/errors.ts'
import { formatCloseMessage, isCloseError, isUnexpectedCloseError } from './close-helpers.ts'

async function closedWith(code: number): Promise<unknown> {
  const peer = new TestLink()
  peer.stream.endInput()
  if (code !== 1006) {
    const other = new TestLink()
    other.conn.close(code).catch(() => {})
    other.conn.terminate()
    await other.conn.closed
    return other.conn.read().catch((error: unknown) => error)
  }
  return peer.conn.read().catch((error: unknown) => error)
}

describe('isCloseError', () => {
  it('tells the end of a connection, with one of the codes', async () => {
    const error = await closedWith(4000)
    assert.ok(isCloseError(error))
    assert.equal(error.info.code, 4000)
    assert.equal(isCloseError(error, 4000), true)
    assert.equal(isCloseError(error, 1000, 4000), true)
    assert.equal(isCloseError(error, 1000, 1001), false)
    assert.equal(isCloseError(await closedWith(1006), 1006), true)
  })

  it('is not about other errors, or other values', () => {
    for (const value of [
      new Error('other'),
      new UsageError('ERR_WS_CONCURRENT_READ', 'x'),
      undefined,
      null,
      { code: 1000 },
    ])
      assert.equal(isCloseError(value), false)
  })
})

describe('isUnexpectedCloseError', () => {
  it('tells an end with none of the codes', async () => {
    const error = await closedWith(4000)
    assert.equal(isUnexpectedCloseError(error, 1000, 1001), true)
    assert.equal(isUnexpectedCloseError(error, 1000, 4000), false)
    assert.equal(isUnexpectedCloseError(error), true)
    assert.equal(isUnexpectedCloseError(new Error('other'), 1000), false)
  })
})

describe('formatCloseMessage', () => {
  it('gives the payload of a Close frame', () => {
    assert.equal(Buffer.from(formatCloseMessage(1000, 'bye')).toString('hex'), '03e8627965')
    assert.equal(Buffer.from(formatCloseMessage(4999)).toString('hex'), '1387')
    assert.equal(formatCloseMessage(1005).length, 0)
    assert.equal(formatCloseMessage(1000, 'é'.repeat(61)).length, 124)
  })

  it('refuses what no Close frame may hold', () => {
    for (const code of [0, 999, 1004, 1006, 1015, 2999, 5000, Number.NaN])
      assert.throws(() => formatCloseMessage(code), { name: 'UsageError', code: 'ERR_WS_INVALID_ARGUMENT' })
    assert.throws(() => formatCloseMessage(1000, 'é'.repeat(62)), { name: 'UsageError' })
  })
})
