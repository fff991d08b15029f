import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { turn } from '../../test/support/test-link.ts'
import { CloseError, UsageError } from '../session/errors.ts'
import type { Data } from '../session/message.ts'
import { destroyOnAbort, pushNext, surviveErrors } from './node-streams.ts'

const mistake = new UsageError('ERR_WS_CONCURRENT_READ', 'on purpose')

describe('surviveErrors', () => {
  it('lets nobody be ended by what a peer does, unless it is a mistake of ours', () => {
    const stream = new Readable()
    surviveErrors(stream)
    stream.emit('error', new Error('of the peer'))
    assert.throws(() => stream.emit('error', mistake), mistake)
  })

  it('lets a write behind its own end() be told, unless the peer may have ended it', async () => {
    const late = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' })
    const stream = new Readable({ read() {} })
    surviveErrors(stream)
    assert.throws(() => stream.emit('error', late), late)
    stream.push(null)
    await once(stream.resume(), 'end')
    stream.emit('error', late)
  })

  it('leaves a mistake to those who listen', () => {
    const stream = new Readable()
    surviveErrors(stream)
    const told: unknown[] = []
    stream.on('error', (error) => told.push(error))
    stream.emit('error', mistake)
    assert.deepEqual(told, [mistake])
  })
})

describe('destroyOnAbort', () => {
  it('does nothing without a signal', () => {
    const stream = new Readable()
    destroyOnAbort(stream, undefined)
    assert.equal(stream.destroyed, false)
  })

  it('destroys with the reason, later or at once', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const late = new Readable()
    destroyOnAbort(late, controller.signal)
    controller.abort(reason)
    assert.deepEqual(await once(late, 'error'), [reason])
    const early = new Readable()
    destroyOnAbort(early, controller.signal)
    assert.deepEqual(await once(early, 'error'), [reason])
  })
})

describe('destroyOnAbort, with what is no error', () => {
  it('destroys with an AbortError, whose cause it is', async () => {
    for (const reason of [null, 'left', 5]) {
      const controller = new AbortController()
      const stream = new Readable()
      destroyOnAbort(stream, controller.signal)
      controller.abort(reason)
      const [error] = (await once(stream, 'error')) as Error[]
      assert.deepEqual([error?.name, error?.cause], ['AbortError', reason])
    }
  })
})

describe('pushNext', () => {
  const reading = (read: () => Promise<Data | undefined>): Readable =>
    new Readable({
      objectMode: true,
      read() {
        pushNext(this, read)
      },
    })

  it('pushes what is read, until the end', async () => {
    const data: Data[] = ['text', Buffer.from('binary'), '']
    assert.deepEqual(await reading(async () => data.shift()).toArray(), ['text', Buffer.from('binary'), ''])
  })

  it('destroys the stream when reading fails', async () => {
    const error = new CloseError({} as never)
    await assert.rejects(
      reading(async () => {
        throw error
      }).toArray(),
      error,
    )
  })

  it('pushes nothing once the stream is destroyed', async () => {
    let resolve: ((data: Data) => void) | undefined
    const stream = reading(
      () =>
        new Promise((done) => {
          resolve = done
        }),
    )
    const told: unknown[] = []
    stream.on('data', (data) => told.push(data))
    await turn()
    stream.destroy()
    resolve?.('too late')
    await turn()
    assert.deepEqual(told, [])
  })
})
