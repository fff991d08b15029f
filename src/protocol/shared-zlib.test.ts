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

test('what comes out depends on nothing but the message: not on what was compressed before, for somebody else', () => {
  const words = fc.constantFrom('alpha', 'secret', 'xyz', 'xyzs', '{"a":1}', 'q7', ' ')
  const text = fc.array(words, { maxLength: 60 }).map((all) => Buffer.from(all.join('')))
  for (const level of [1, 3, 6, 9]) {
    const deflater = SharedZlib.deflater({ level, memLevel: 8 })
    fc.assert(
      fc.property(text, fc.nat(400), fc.constantFrom(1, 20), (words, length, times) => {
        const bytes = Buffer.concat(Array.from({ length: times }, () => words))
        for (const message of [bytes, bytes.subarray(0, length)]) {
          const alone = deflateRawSync(message, { level, memLevel: 8, finishFlush: constants.Z_SYNC_FLUSH })
          assert.deepEqual(deflater.run(message), alone)
        }
      }),
      { numRuns: 1_000 },
    )
  }
})

test('a peer does not find out by the length of its messages what another one was sent', () => {
  const secret = 'session=Zx81-kQ7; admin'
  const deflater = SharedZlib.deflater({ level: 6 })
  deflater.run(Buffer.from('.'.repeat(300) + secret + '.'.repeat(200)))
  let guesses = 0
  for (const [i, next] of [...secret].entries()) {
    // Ends in what it has already said, and goes on there with what may be behind its end in zlib's window.
    const message = Buffer.alloc(300 + i, 'q')
    message.write(`\x01\x02\x03${next}z`, 40, 'latin1')
    message.write('\x01\x02\x03', message.length - 3, 'latin1')
    // Of eight lengths, a few bits more or less make a byte in one.
    for (let literals = 0; literals < 8; literals++) {
      message.fill(0xc0, 60, 60 + literals)
      const alone = deflateRawSync(message, { level: 6, finishFlush: constants.Z_SYNC_FLUSH })
      guesses += deflater.run(message)?.length === alone.length ? 0 : 1
    }
  }
  assert.equal(guesses, 0)
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
  // Peers choose their window, so that it must not cost a place.
  for (let windowBits = 8; windowBits < 15; windowBits++)
    assert.equal(sharedDeflater(windowBits, 0, 1), undefined)
  const made = new Set(Array.from({ length: 30 }, (_, i) => sharedDeflater(15, i % 10, 1 + (i % 9))))
  assert.ok(made.delete(undefined))
  assert.equal(made.size, 8)
  assert.ok(sharedDeflater(15, 0, 1) !== undefined)
  assert.equal(sharedDeflater(15, 0, 1), sharedDeflater(15, 0, 1))
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
