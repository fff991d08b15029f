import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { resolveLimits } from '../protocol/limits.ts'
import { Heartbeat } from './heartbeat.ts'

const heartbeat = (limits: { pingInterval?: number; pongTimeout?: number } = {}): Heartbeat =>
  new Heartbeat(resolveLimits({ pingInterval: 1000, pongTimeout: 300, ...limits }), 0)

describe('Heartbeat', () => {
  it('waits for the rest of the silence, then pings, then gives up', () => {
    const beat = heartbeat()
    assert.equal(beat.judge(400, 0, false), 600)
    assert.equal(beat.judge(1000, 0, false), 'ping')
    assert.equal(beat.pinged(1000, 0), 300)
    assert.equal(beat.judge(1100, 0, false), 200)
    assert.equal(beat.judge(1300, 0, false), 'dead')
  })

  it('begins anew with every sign of life', () => {
    const beat = heartbeat()
    assert.equal(beat.alive(700), false)
    assert.equal(beat.judge(1000, 0, false), 700)
    beat.pinged(1700, 0)
    assert.equal(beat.alive(1900), true)
    assert.equal(beat.judge(2000, 0, false), 900)
  })

  it('gives a slow peer time for what lies before the ping, as much as the kernels may hold', () => {
    const beat = heartbeat()
    beat.answered(10_000)
    beat.alive(900) // says nothing of what it has read
    assert.equal(beat.pinged(1000, 10_000 + 64_000), 300 + 1000)
    assert.equal(beat.judge(2299, 74_000, false), 1)
    assert.equal(beat.judge(2300, 74_000, false), 'dead')
    assert.equal(beat.patience(1e12), 300 + (4 * 1024 * 1024) / 64)
    assert.equal(beat.patience(0), 300)
  })

  it('pings again instead of giving up while we hold the peer back', () => {
    const beat = heartbeat()
    beat.pinged(1000, 0)
    assert.equal(beat.judge(9000, 0, true), 'ping')
  })

  it('never gives up without a pong timeout', () => {
    const beat = heartbeat({ pongTimeout: 0 })
    assert.equal(beat.pinged(1000, 0), 1000)
    assert.equal(beat.judge(1e9, 0, false), 1000)
  })
})
