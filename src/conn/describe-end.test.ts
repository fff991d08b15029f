import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { frame } from '../../test/frames.ts'
import { defaultLimits } from '../protocol/limits.ts'
import { Protocol } from '../protocol/protocol.ts'
import type { CloseInfo, ConnStats } from '../session/close-info.ts'
import { TimeoutError } from '../session/errors.ts'
import { describeEnd } from './describe-end.ts'

const stats: ConnStats = {
  bytesReceived: 1,
  bytesSent: 2,
  messagesReceived: 3,
  messagesSent: 4,
  sendsDropped: 5,
  receivesDropped: 6,
  rtt: undefined,
}

/** The end of an engine to which this happened. */
function endOf(
  happen: (engine: Protocol) => void,
  left = true,
  error?: Error,
  streamError: Error | null = null,
): CloseInfo {
  const engine = new Protocol({
    role: 'client',
    limits: defaultLimits,
    mask: () => 0,
    handler: { onMessage() {}, onPing() {}, onPong() {}, onClose() {}, onFault() {} },
  })
  happen(engine)
  engine.receiveEnd()
  return describeEnd(engine, left, error, streamError, stats)
}

const theirs = frame({ opcode: 8, payload: Buffer.from('0fa2627965', 'hex') })
const sent = { code: 4001, reason: 'ours' }
const received = { code: 4002, reason: 'bye' }

describe('the end of a connection', () => {
  it('has the code that came first, and both Close frames', () => {
    const ours = endOf((engine) => {
      engine.sendClose(4001, 'ours')
      engine.receive(Buffer.from(theirs))
    })
    assert.deepEqual(ours, { ...sent, wasClean: true, by: 'local', received, sent, error: undefined, stats })
    const other = endOf((engine) => void engine.receive(Buffer.from(theirs)))
    const answer = { code: 4002, reason: '' }
    assert.deepEqual(other, {
      ...received,
      wasClean: true,
      by: 'remote',
      received,
      sent: answer,
      error: undefined,
      stats,
    })
  })

  it('has no error of the stream or of the time when it is clean, and any other', () => {
    const reset = new Error('write ECONNRESET')
    const both = (engine: Protocol): void => {
      engine.sendClose(4001, 'ours')
      engine.receive(Buffer.from(theirs))
    }
    assert.equal(endOf(both, true, reset, reset).error, undefined)
    const late = new TimeoutError('ERR_WS_CLOSE_TIMEOUT', 'close', 200)
    assert.equal(endOf(both, true, late).error, undefined)
    assert.equal(endOf(both, false, late).error, late)
    assert.equal(endOf(both, true, new Error('of a listener'), reset).error?.message, 'of a listener')
    assert.equal(endOf((engine) => void engine.sendClose(4001, 'ours'), true, reset, reset).error, reset)
    assert.equal(endOf(both, false, reset, reset).error, reset)
  })

  it('is not clean when a Close frame is missing, or ours has not left', () => {
    const alone = endOf((engine) => void engine.sendClose(4001, 'ours'))
    assert.deepEqual([alone.wasClean, alone.code, alone.received, alone.sent], [false, 4001, undefined, sent])
    const stuck = endOf((engine) => void engine.receive(Buffer.from(theirs)), false)
    assert.deepEqual([stuck.wasClean, stuck.code, stuck.sent, stuck.by], [false, 4002, undefined, 'remote'])
  })

  it('without any is 1006, by the network unless it was us', () => {
    const error = new Error('reset')
    const lost = endOf(() => {}, false, error)
    assert.deepEqual([lost.code, lost.reason, lost.by, lost.error], [1006, '', 'network', error])
    const dropped = endOf((engine) => {
      engine.closedBy = 'local'
    })
    assert.deepEqual([dropped.code, dropped.by, dropped.wasClean], [1006, 'local', false])
  })

  it('by a fault is ours', () => {
    const { code, by, sent: said } = endOf((engine) => void engine.receive(Buffer.from('83', 'hex')))
    assert.deepEqual([code, by, said?.code], [1002, 'local', 1002])
  })
})
