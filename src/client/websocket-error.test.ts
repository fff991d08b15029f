import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toCloseInfo, uncleanClose, type WebSocketCloseInfo, WebSocketError } from './websocket-error.ts'

describe('WebSocketError', () => {
  it('is a DOMException of its own name', () => {
    const error = new WebSocketError('lost', { closeCode: 4000, reason: 'why' })
    assert.ok(error instanceof DOMException && error instanceof Error)
    assert.deepEqual([error.name, error.message, error.code], ['WebSocketError', 'lost', 0])
    assert.deepEqual([error.closeCode, error.reason], [4000, 'why'])
    assert.equal(String(error), 'WebSocketError: lost')
    assert.equal(Object.prototype.toString.call(error), '[object WebSocketError]')
    assert.equal(WebSocketError.length, 0)
  })

  it('has neither code nor reason by default, and 1000 beside a reason', () => {
    for (const [init, code, reason] of [
      [undefined, null, ''],
      [null, null, ''],
      [{}, null, ''],
      [{ reason: '' }, null, ''],
      [{ reason: 'x\ud800' }, 1000, 'x\ufffd'],
      [{ closeCode: '3000' }, 3000, ''],
      [{ closeCode: 3000.4 }, 3000, ''],
    ] as const) {
      const error = new WebSocketError('', init as unknown as WebSocketCloseInfo)
      assert.deepEqual([error.closeCode, error.reason], [code, reason])
    }
    assert.equal(new WebSocketError().message, '')
  })

  it('takes no other codes and reasons than may be sent', () => {
    for (const closeCode of [0, 999, 1001, 1006, 2999, 5000, null, Number.NaN])
      assert.throws(() => new WebSocketError('', { closeCode: closeCode as number }), {
        name: 'InvalidAccessError',
      })
    assert.throws(() => new WebSocketError('', { reason: 'x'.repeat(124) }), { name: 'SyntaxError' })
    for (const init of [5, 'x', { closeCode: Symbol('x') }, { reason: Symbol('x') }])
      assert.throws(() => new WebSocketError('', init as unknown as WebSocketCloseInfo), TypeError)
    assert.throws(() => new WebSocketError(Symbol('x') as unknown as string), TypeError)
  })

  it('has members of its class alone', () => {
    for (const name of ['closeCode', 'reason'] as const) {
      const descriptor = Object.getOwnPropertyDescriptor(WebSocketError.prototype, name)
      assert.equal(descriptor?.enumerable, true)
      for (const other of [undefined, {}, new DOMException('x')])
        assert.throws(() => descriptor?.get?.call(other), /^TypeError: Illegal invocation$/)
    }
  })
})

describe('an unclean close', () => {
  it('may have a code that nobody may send', () => {
    const error = uncleanClose('lost', 1006, 'x')
    assert.ok(error instanceof WebSocketError)
    assert.deepEqual([error.message, error.closeCode, error.reason], ['lost', 1006, 'x'])
  })
})

describe('toCloseInfo', () => {
  it('converts, in the order of the names', () => {
    const order: string[] = []
    const init = {
      get reason() {
        order.push('reason')
        return 5
      },
      get closeCode() {
        order.push('closeCode')
        return '70000'
      },
    }
    assert.deepEqual(toCloseInfo(init, 'close'), { closeCode: 65_535, reason: '5' })
    assert.deepEqual(order, ['closeCode', 'reason'])
    assert.deepEqual(toCloseInfo(undefined, 'close'), { closeCode: undefined, reason: '' })
    assert.throws(() => toCloseInfo(true, 'close'), /^TypeError: close: /)
  })
})
