import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { test } from 'node:test'
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { holds, SharedZlib, sharedDeflater, sharedInflater } from './shared-zlib.ts'

test('gives what zlib gives, whatever came before', () => {
  const deflater = SharedZlib.deflater({ level: 6 })
  const inflater = SharedZlib.inflater()
  const message = fc.oneof(fc.uint8Array({ maxLength: 2000 }), fc.string({ maxLength: 500 }).map(Buffer.from))
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), (messages) => {
      const results = messages.map((bytes) => {
        const flushed = deflater.run(bytes)
        assert.ok(flushed?.equals(deflateRawSync(bytes, { level: 6, finishFlush: constants.Z_SYNC_FLUSH })))
        return inflater.run(deflateRawSync(bytes))
      })
      // Looked at in the end: none is written over by the next.
      for (const [i, result] of results.entries()) assert.ok(result?.equals(messages[i] as Uint8Array))
    }),
  )
})

test('a message never gets what another one left behind', () => {
  const inflater = SharedZlib.inflater()
  // Its only block refers back to what came before it.
  const thief = deflateRawSync(Buffer.from('abcdefabcdef'), { dictionary: Buffer.from('abcdefabcdef') })
  assert.equal(inflateRawSync(thief, { dictionary: Buffer.from('abcdefabcdef') }).toString(), 'abcdefabcdef')
  for (const before of ['abcdefabcdef', 'secret secret secret', '']) {
    assert.equal(inflater.run(deflateRawSync(before))?.toString(), before)
    assert.equal(inflater.run(thief), undefined)
  }
  const deflater = SharedZlib.deflater({ level: 6 })
  const first = deflater.run(Buffer.from('the same words each time'))
  assert.deepEqual(deflater.run(Buffer.from('the same words each time')), first)
})

test('does not answer for what is broken, goes on behind its end, or is long; and works again behind it', () => {
  const inflater = SharedZlib.inflater()
  const whole = deflateRawSync(Buffer.from('whole'))
  for (const bytes of [
    Buffer.from([0b111]),
    whole.subarray(0, -1),
    Buffer.concat([whole, whole]),
    Buffer.alloc(0),
    deflateRawSync(Buffer.alloc(16 * 1024 + 1)),
    deflateRawSync(Buffer.alloc(3 * 1024), { level: 0 }),
  ]) {
    assert.equal(inflater.run(bytes), undefined)
    assert.equal(inflater.run(whole)?.toString(), 'whole')
  }
  assert.equal(inflater.run(deflateRawSync(Buffer.alloc(16 * 1024)))?.length, 16 * 1024)
  const deflater = SharedZlib.deflater({ level: 1 })
  assert.equal(deflater.run(Buffer.alloc(16 * 1024 + 1)), undefined)
  assert.ok(deflater.run(Buffer.alloc(16 * 1024)))
})

test('nothing piles up, and nothing is told to nobody', async () => {
  const warned: Error[] = []
  const note = (warning: Error): number => warned.push(warning)
  process.on('warning', note)
  const inflater = SharedZlib.inflater()
  for (let i = 0; i < 100; i++) {
    inflater.run(deflateRawSync(Buffer.from('fine')))
    inflater.run(Buffer.from([0b111]))
  }
  // Streams tell their errors, and the process its warnings, in a later turn.
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', note)
  assert.deepEqual(warned, [])
})

test('does not answer who comes in while it works', () => {
  const inflater = SharedZlib.inflater()
  const whole = deflateRawSync(Buffer.from('whole'))
  const within: unknown[] = []
  // Called in the middle of the work, when zlib has found out that the data is broken.
  const hook = createHook({
    before() {
      if (within.length === 0) within.push(inflater.run(whole))
    },
  })
  inflater.run(whole)
  hook.enable()
  inflater.run(Buffer.from([0b111]))
  hook.disable()
  assert.deepEqual(within, [undefined])
  assert.equal(inflater.run(whole)?.toString(), 'whole')
})

test('there is one for each setting, and not for any number of them', () => {
  assert.ok(sharedInflater() !== undefined)
  assert.equal(sharedInflater(), sharedInflater())
  const made = new Set(Array.from({ length: 30 }, (_, i) => sharedDeflater(9 + (i % 7), i % 10, 1 + (i % 9))))
  assert.ok(made.delete(undefined))
  assert.equal(made.size, 8)
  assert.equal(sharedDeflater(9, 0, 1), sharedDeflater(9, 0, 1))
})

test('a runtime whose streams work otherwise is found out', () => {
  const deflater = SharedZlib.deflater({ level: 1 })
  const inflater = SharedZlib.inflater()
  const none = { run: () => undefined } as unknown as SharedZlib
  const sure = { run: () => Buffer.from('first') } as unknown as SharedZlib
  // Answers also for what is broken.
  const trusting = { run: (bytes: Buffer) => inflater.run(bytes) ?? Buffer.alloc(0) } as unknown as SharedZlib
  assert.equal(holds(deflater, inflater), true)
  assert.equal(holds(none, inflater), false)
  assert.equal(holds(deflater, none), false)
  assert.equal(holds(sure, inflater), false)
  assert.equal(holds(deflater, sure), false)
  assert.equal(holds(deflater, trusting), false)
  assert.equal(holds(SharedZlib.deflater({ level: 42 }), inflater), false)
})
