import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { assertOpen, closedEarly, letFlow, silenceErrors, streamEvent } from './stream-event.ts'

const never = new AbortController().signal

/** How a wait ends, and whether it left the stream as it should: whole, or destroyed, and without listeners. */
async function outcome(
  act: (stream: PassThrough, controller: AbortController) => void,
  prepare: (stream: PassThrough) => void = () => {},
): Promise<unknown> {
  const stream = silenceErrors(new PassThrough())
  prepare(stream)
  const controller = new AbortController()
  const before = stream.eventNames().flatMap((name) => stream.listeners(name)).length
  const waiting = streamEvent(stream, 'ready', controller.signal)
  act(stream, controller)
  const error = await waiting.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.equal(stream.destroyed, error !== undefined)
  assert.equal(stream.eventNames().flatMap((name) => stream.listeners(name)).length, before)
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
  return error
}

describe('streamEvent', () => {
  const boom = new Error('boom')

  it('resolves at the event', async () => {
    assert.equal(await outcome((stream) => stream.emit('ready')), undefined)
  })

  it('rejects with the error of the stream', async () => {
    assert.equal(await outcome((stream) => stream.destroy(boom)), boom)
    assert.equal(
      await outcome(
        () => {},
        (stream) => stream.destroy(boom),
      ),
      boom,
    )
  })

  it('rejects at an end without an error', async () => {
    assert.deepEqual(await outcome((stream) => stream.destroy()), closedEarly())
    assert.deepEqual(
      await outcome(
        () => {},
        (stream) => stream.destroy(),
      ),
      closedEarly(),
    )
  })

  it('rejects with the reason of the signal', async () => {
    assert.equal(await outcome((_stream, controller) => controller.abort(boom)), boom)
    const stream = new PassThrough()
    await assert.rejects(streamEvent(stream, 'ready', AbortSignal.abort(boom)), boom)
    assert.equal(stream.destroyed, true)
  })

  it('an error that nobody waits for ends nothing', async () => {
    const stream = silenceErrors(new PassThrough())
    stream.destroy(boom)
    await assert.rejects(streamEvent(stream, 'ready', never), boom)
  })
})

describe('assertOpen', () => {
  it('throws why a stream is gone', () => {
    const stream = silenceErrors(new PassThrough())
    assertOpen(stream)
    stream.destroy()
    assert.throws(() => assertOpen(stream), closedEarly())
    const boom = new Error('boom')
    assert.throws(() => assertOpen(silenceErrors(new PassThrough()).destroy(boom)), boom)
  })
})

describe('letFlow', () => {
  it('a stream that was paused flows to who listens next', async () => {
    const stream = new PassThrough()
    stream.pause()
    letFlow(stream)
    const heard = new Promise((resolve) => stream.on('data', resolve))
    stream.write('x')
    assert.equal(String(await heard), 'x')
  })
})
