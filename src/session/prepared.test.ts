import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { frame } from '../../test/frames.ts'
import { UsageError } from './errors.ts'
import { checkSendable, Prepared, prepare } from './prepared.ts'

const invalid = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UsageError)
  assert.equal(error.code, 'ERR_WS_INVALID_ARGUMENT')
  assert.match(error.message, message)
  return true
}

describe('prepare', () => {
  it('makes the frame that a server sends', () => {
    const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537]
    for (const length of lengths) {
      const text = 'x'.repeat(length)
      const asText = prepare(text)
      assert.deepEqual(Buffer.from(asText.frame), frame({ opcode: 1, payload: text }))
      const asBytes = prepare(Buffer.from(text))
      assert.deepEqual(Buffer.from(asBytes.frame), frame({ opcode: 2, payload: text }))
      for (const prepared of [asText, asBytes]) {
        assert.equal(prepared.byteLength, length)
        assert.equal(Buffer.from(prepared.payload).toString(), text)
      }
      assert.deepEqual([asText.type, asBytes.type], ['text', 'binary'])
    }
  })

  it('encodes any text as UTF-8, half characters replaced', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 60 }), (units) => {
        const text = String.fromCharCode(...units)
        const { payload, byteLength } = prepare(text)
        assert.deepEqual(Buffer.from(payload), Buffer.from(text, 'utf8'))
        assert.equal(byteLength, payload.length)
      }),
    )
  })

  it('copies bytes, of any view or buffer', () => {
    const floats = new Float32Array([1.5, -2])
    const inside = new DataView(new Uint8Array([0, 1, 2, 3, 4]).buffer, 1, 3)
    const cases: [Uint8Array | ArrayBuffer, number[]][] = [
      [new Uint8Array([0, 1, 2, 3]).subarray(1, 3), [1, 2]],
      [new Uint8Array([7, 8]).buffer, [7, 8]],
      [floats as unknown as ArrayBuffer, [...new Uint8Array(floats.buffer)]],
      [inside as unknown as ArrayBuffer, [1, 2, 3]],
      [new SharedArrayBuffer(2) as unknown as ArrayBuffer, [0, 0]],
    ]
    for (const [data, expected] of cases) assert.deepEqual([...prepare(data).payload], expected)

    const mine = new Uint8Array([1, 2, 3])
    const prepared = prepare(mine)
    mine.fill(9)
    assert.deepEqual([...prepared.payload], [1, 2, 3])
  })

  it('makes bytes a text, and a text bytes, when told', () => {
    const text = prepare(Buffer.from('é'), 'text')
    assert.deepEqual(Buffer.from(text.frame), frame({ opcode: 1, payload: 'é' }))
    assert.equal(text.type, 'text')
    const binary = prepare('é', 'binary')
    assert.deepEqual(Buffer.from(binary.frame), frame({ opcode: 2, payload: 'é' }))
    assert.equal(binary.type, 'binary')
  })

  it('refuses bytes as text that are not UTF-8', () => {
    assert.throws(() => prepare(new Uint8Array([0xc3]), 'text'), invalid(/must be UTF-8/))
  })

  it('refuses everything else, and says what it was given', () => {
    class Thing {}
    const others: [unknown, RegExp][] = [
      [undefined, /not undefined/],
      [null, /not null/],
      [5, /not number/],
      [true, /not boolean/],
      [() => {}, /not function/],
      [Symbol('x'), /not symbol/],
      [{}, /not Object; objects go through sendJson/],
      [[1], /not Array/],
      [new Thing(), /not Thing/],
      [Object.create(null), /not an object/],
    ]
    for (const [data, message] of others) assert.throws(() => prepare(data as string), invalid(message))
  })

  it('refuses what is prepared already', () => {
    assert.throws(() => prepare(prepare('x') as unknown as string), invalid(/prepared already/))
  })
})

describe('checkSendable', () => {
  it('leaves strings, bytes and prepared messages as they are', () => {
    const bytes = new Uint8Array(3)
    const prepared = prepare('x')
    assert.equal(checkSendable('x', undefined), 'x')
    assert.equal(checkSendable('x', 'text'), 'x')
    assert.equal(checkSendable(bytes, undefined), bytes)
    assert.equal(checkSendable(bytes, 'binary'), bytes)
    assert.equal(checkSendable(prepared, undefined), prepared)
    assert.equal(checkSendable(prepared, 'text'), prepared)
    assert.ok(prepared instanceof Prepared)
  })

  it('refuses bytes whose buffer was transferred, and takes none at all', () => {
    const view = new Uint8Array(3)
    structuredClone(view, { transfer: [view.buffer] })
    const dataView = new DataView(new ArrayBuffer(3))
    structuredClone(dataView.buffer, { transfer: [dataView.buffer] })
    for (const gone of [view, view.buffer, dataView])
      assert.throws(() => checkSendable(gone, undefined), invalid(/was transferred/))
    assert.equal((checkSendable(new Uint8Array(0), undefined) as Uint8Array).length, 0)
  })

  it('refuses another type than the prepared one, and unknown types', () => {
    assert.throws(() => checkSendable(prepare('x'), 'binary'), invalid(/prepared as text/))
    for (const type of ['string', 1, null])
      assert.throws(() => checkSendable('x', type as 'text'), invalid(/'text' or 'binary'/))
  })
})
