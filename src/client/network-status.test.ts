import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { networkStatus } from './network-status.ts'

describe('networkStatus', () => {
  it('counts as online where nothing is known: in Node', () => {
    assert.equal(networkStatus().online, true)
    assert.equal(networkStatus({}).online, true)
    assert.equal(networkStatus({ navigator: {} }).online, true)
    // Nobody would tell when that has changed.
    assert.equal(networkStatus({ navigator: { onLine: false } }).online, true)
    networkStatus({}).onOnline(() => assert.fail())()
  })

  it('follows navigator.onLine and the online event', () => {
    const navigator = { onLine: false }
    const events = new EventTarget()
    const runtime = {
      navigator,
      addEventListener: events.addEventListener.bind(events),
      removeEventListener: events.removeEventListener.bind(events),
    }
    const network = networkStatus(runtime)
    assert.equal(network.online, false)
    let calls = 0
    const stop = network.onOnline(() => calls++)
    navigator.onLine = true
    events.dispatchEvent(new Event('online'))
    assert.deepEqual([network.online, calls], [true, 1])
    stop()
    events.dispatchEvent(new Event('online'))
    assert.equal(calls, 1)
  })
})
