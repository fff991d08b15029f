import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isControl, isKnownOpcode, Opcode } from './opcode.ts'

const all = Array.from({ length: 16 }, (_, opcode) => opcode)

describe('opcodes', () => {
  it('are those of RFC 6455 section 11.8', () => {
    assert.deepEqual(Opcode, { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 })
  })

  it('beyond them are not known', () => {
    assert.deepEqual(
      all.filter(isKnownOpcode),
      Object.values(Opcode).sort((a, b) => a - b),
    )
  })

  it('from 8 on are of control frames, the reserved ones too', () => {
    assert.deepEqual(all.filter(isControl), [8, 9, 10, 11, 12, 13, 14, 15])
  })
})
