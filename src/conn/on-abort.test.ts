import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { turn } from '../../test/support/test-link.ts'
import { onAbort } from './on-abort.ts'

describe('onAbort', () => {
  it('calls back once, or at once', () => {
    const controller = new AbortController()
    let calls = 0
    onAbort(controller.signal, () => calls++)
    assert.equal(calls, 0)
    controller.abort()
    assert.equal(calls, 1)
    const stop = onAbort(controller.signal, () => calls++)
    assert.equal(calls, 2)
    stop()
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
  })

  it('listens no more when it is told so', () => {
    const controller = new AbortController()
    const stop = onAbort(controller.signal, () => assert.fail('called'))
    stop()
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
    controller.abort()
  })

  it('warns of no leak where one signal is for many', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    const { signal } = new AbortController()
    const stops = Array.from({ length: 100 }, () => onAbort(signal, () => {}))
    await turn()
    process.off('warning', onWarning)
    for (const stop of stops) stop()
    assert.deepEqual(warnings, [])
  })
})
