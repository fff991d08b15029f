import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ConnStats, EncodingStats } from '../session/close-info.ts'
import { ServerCounters } from './server-counters.ts'

function stats(from: number, encoding?: EncodingStats): ConnStats {
  return {
    bytesReceived: from,
    bytesSent: from + 1,
    messagesReceived: from + 2,
    messagesSent: from + 3,
    sendsDropped: from + 4,
    receivesDropped: from + 5,
    rtt: 5,
    ...(encoding === undefined ? {} : { encoding }),
  }
}

const encoding: EncodingStats = { plainSent: 1, encodedSent: 2, plainReceived: 3, encodedReceived: 4 }

describe('ServerCounters', () => {
  it('begins with nothing', () => {
    assert.deepEqual(new ServerCounters().read(new Set(), 0), {
      open: 0,
      pending: 0,
      accepted: 0,
      refused: {},
      closed: {},
      bytesReceived: 0,
      bytesSent: 0,
      messagesReceived: 0,
      messagesSent: 0,
      sendsDropped: 0,
      receivesDropped: 0,
      encoding: { plainSent: 0, encodedSent: 0, plainReceived: 0, encodedReceived: 0 },
    })
  })

  it('sums what lives and what has ended, each once', () => {
    const counters = new ServerCounters()
    const live = new Set([{ stats: stats(100) }, { stats: stats(200, encoding) }])
    for (let i = 0; i < 4; i++) counters.accept()
    counters.end({ code: 1000, stats: stats(10, encoding) })
    counters.end({ code: 1000, stats: stats(20) })
    counters.end({ code: 4999, stats: stats(0) })
    const read = counters.read(live, 7)
    assert.deepEqual(read, {
      open: 2,
      pending: 7,
      accepted: 4,
      refused: {},
      closed: { 1000: 2, 4999: 1 },
      bytesReceived: 330,
      bytesSent: 335,
      messagesReceived: 340,
      messagesSent: 345,
      sendsDropped: 350,
      receivesDropped: 355,
      encoding: { plainSent: 2, encodedSent: 4, plainReceived: 6, encodedReceived: 8 },
    })
    assert.deepEqual(counters.read(live, 7), read, 'reading changes nothing')
  })

  it('counts refusals by their code', () => {
    const counters = new ServerCounters()
    counters.refuse('ERR_WS_ORIGIN')
    counters.refuse('ERR_WS_KEY')
    counters.refuse('ERR_WS_ORIGIN')
    assert.deepEqual(counters.read(new Set(), 0).refused, { ERR_WS_ORIGIN: 2, ERR_WS_KEY: 1 })
  })

  it('gives each reader an object of its own', () => {
    const counters = new ServerCounters()
    const read = counters.read(new Set(), 0)
    Object.assign(read, { bytesSent: 5 })
    Object.assign(read.encoding, { plainSent: 5 })
    assert.deepEqual(counters.read(new Set(), 0), {
      ...read,
      bytesSent: 0,
      encoding: { plainSent: 0, encodedSent: 0, plainReceived: 0, encodedReceived: 0 },
    })
  })
})
