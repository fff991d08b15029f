import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decoderLimits, expectedAnswers, Receiver, receiveAll, renderAll, renderEvent } from './engine.ts'
import { cut, feedEveryWay, frame, hex, toHex } from './frames.ts'
import { closeCodeAllowed, decodeReference, type Role } from './reference.ts'
import { type Expected, streamOf, vectorGroups } from './vectors.ts'

const roles = ['server', 'client'] as const

/** Which code a fault closes with, told apart from the reference and the engine. */
const faultCloseCodes: Readonly<Record<string, number>> = {
  ERR_WS_INVALID_UTF8: 1007,
  ERR_WS_CLOSE_REASON: 1007,
  ERR_WS_FRAME_TOO_LARGE: 1009,
  ERR_WS_MESSAGE_TOO_LARGE: 1009,
}

function renderExpected(expected: Expected): string {
  if (expected[0] === 'fault') {
    const [, code] = expected
    return renderEvent({ kind: 'fault', code, closeCode: faultCloseCodes[code] ?? 1002, at: 0 })
  }
  if (expected[0] === 'close')
    return renderEvent({ kind: 'close', code: expected[1], reason: expected[2], at: 0 })
  return renderEvent({ kind: expected[0], data: Buffer.from(expected[1]), at: 0 })
}

for (const group of vectorGroups) {
  for (const role of roles) {
    test(`vectors: ${group.name}, received by a ${role}`, () => {
      for (const vector of group.vectors) {
        if (vector.roles !== undefined && !vector.roles.includes(role)) continue
        const stream = streamOf(vector, role)
        const limits = decoderLimits(vector.limits)
        const oracle = decodeReference(stream, role, limits)
        const wanted = vector.expect.map(renderExpected)
        const what = `${vector.name}: ${toHex(stream)}`
        assert.deepEqual(renderAll(oracle), wanted, `the reference on ${what}`)
        const randomCuts = stream.length > 20_000 ? 4 : 12
        const heard = feedEveryWay(stream, (chunks) => receiveAll(role, chunks, { limits }), { randomCuts })
        assert.deepEqual(heard.events, wanted, `the engine on ${what}`)
        assert.deepEqual(heard.answers, expectedAnswers(oracle), `the answers to ${what}`)
      }
    })

    test(`vectors: ${group.name}, each event of a ${role} at its byte`, () => {
      for (const vector of group.vectors) {
        if (vector.roles !== undefined && !vector.roles.includes(role)) continue
        const stream = streamOf(vector, role)
        // The test above fed these byte by byte too, if without asking where each event stood.
        if (stream.length > 3000) continue
        const limits = decoderLimits(vector.limits)
        const receiver = new Receiver(role, { limits })
        for (const byte of stream) receiver.feed(Uint8Array.of(byte))
        const timeline = decodeReference(stream, role, limits).map(
          (event) => `${event.at} ${renderEvent(event)}`,
        )
        assert.deepEqual(
          receiver.events.map((event) => `${event.at} ${renderEvent(event)}`),
          timeline,
          `${vector.name}: ${toHex(stream)}`,
        )
      }
    })
  }
}

/** A frame as it reaches a receiver of the given role. */
function received(role: Role, opcode: number, payload: Uint8Array): Buffer {
  return frame({ opcode, payload, ...(role === 'server' ? { mask: hex('a5b6c7d8') } : {}) })
}

for (const role of roles) {
  test(`every close code from 0 to 5000, received by a ${role}`, () => {
    for (let code = 0; code <= 5000; code++) {
      const stream = received(role, 8, Uint8Array.of(code >> 8, code & 0xff, 0x62, 0x79, 0x65))
      const whole = receiveAll(role, [stream])
      assert.deepEqual(whole, receiveAll(role, cut(stream, [1, 3, 7])))
      const allowed = closeCodeAllowed(code)
      assert.deepEqual(whole.events, [allowed ? `close ${code} "bye"` : 'fault ERR_WS_CLOSE_CODE 1002'])
      assert.deepEqual(whole.answers, [`close ${allowed ? code : 1002}`])
    }
  })

  test(`every pair of bytes as text, received by a ${role}`, () => {
    for (let first = 0; first < 256; first++) {
      for (let second = first < 0x80 ? 255 : 0; second < 256; second++) {
        const stream = received(role, 1, Uint8Array.of(first, second))
        const wanted = renderAll(decodeReference(stream, role, decoderLimits()))
        assert.deepEqual(receiveAll(role, [stream]).events, wanted)
        if (role === 'client') continue
        assert.deepEqual(receiveAll(role, cut(stream, [stream.length - 1])).events, wanted)
      }
    }
  })
}

test('every first and second byte of a stream', () => {
  for (const role of roles) {
    for (let first = 0; first < 256; first++) {
      const alone = receiveAll(role, [Uint8Array.of(first)]).events
      assert.deepEqual(
        alone,
        renderAll(decodeReference(Uint8Array.of(first), role, decoderLimits())),
        `${first}`,
      )
      for (let second = alone.length > 0 ? 255 : 0; second < 256; second++) {
        const stream = Uint8Array.of(first, second)
        assert.deepEqual(
          receiveAll(role, [stream]).events,
          renderAll(decodeReference(stream, role, decoderLimits())),
          toHex(stream),
        )
      }
    }
  }
})
