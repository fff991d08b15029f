import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CloseCode, isSendableCloseCode } from './close-code.ts'

describe('close codes', () => {
  it('that may be sent are the registered ones but for three, and 3000-4999', () => {
    const sendable: number[] = []
    for (let code = -1; code <= 70_000; code++) if (isSendableCloseCode(code)) sendable.push(code)
    const registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]
    assert.deepEqual(sendable, [...registered, ...Array.from({ length: 2000 }, (_, i) => 3000 + i)])
  })

  it('that only report may not be sent', () => {
    for (const code of [CloseCode.NoStatus, CloseCode.Abnormal, CloseCode.TlsHandshake])
      assert.equal(isSendableCloseCode(code), false, `${code}`)
  })

  it('are integers', () => {
    const others: unknown[] = [
      1000.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      -1000,
      '1000',
      null,
      undefined,
      1000n,
    ]
    for (const code of others) assert.equal(isSendableCloseCode(code as number), false, String(code))
  })

  it('have a name each, and each name one code', () => {
    const codes = Object.values(CloseCode)
    assert.equal(new Set(codes).size, codes.length)
    // 1004 is reserved and has no meaning.
    assert.deepEqual(
      [...codes].sort((a, b) => a - b),
      Array.from({ length: 16 }, (_, i) => 1000 + i).filter((code) => code !== 1004),
    )
  })
})
