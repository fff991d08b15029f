import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CloseEvent, type CloseEventInit } from './close-event.ts'

const look = (event: CloseEvent) => [event.code, event.reason, event.wasClean]

describe('CloseEvent', () => {
  it('is one whatever its constructor has for a prototype', () => {
    const newTarget = Object.assign(function NewTarget() {}.bind(undefined), { prototype: null })
    const event = Reflect.construct(CloseEvent, ['close', { code: 5 }], newTarget) as CloseEvent
    assert.ok(event instanceof CloseEvent)
    assert.equal(event.code, 5)
  })

  it('has what it was made of', () => {
    const event = new CloseEvent('close', { code: 4000, reason: 'why', wasClean: true })
    assert.deepEqual([event.type, ...look(event)], ['close', 4000, 'why', true])
    assert.deepEqual(look(new CloseEvent('x')), [0, '', false])
    assert.deepEqual(look(new CloseEvent('x', null as unknown as CloseEventInit)), [0, '', false])
    assert.ok(event instanceof Event)
    assert.equal(String(event), '[object CloseEvent]')
  })

  it('is an event in other respects', () => {
    const all = (event: Event) => [event.bubbles, event.cancelable, event.composed]
    assert.deepEqual(all(new CloseEvent('x')), [false, false, false])
    const init = { bubbles: 1, cancelable: {}, composed: 'x' } as unknown as CloseEventInit
    assert.deepEqual(all(new CloseEvent('x', init)), [true, true, true])
    const target = new EventTarget()
    target.addEventListener('close', (event) => event.preventDefault())
    assert.equal(target.dispatchEvent(new CloseEvent('close', { cancelable: true })), false)
  })

  it('converts what it is given', () => {
    const init = { code: '65537', reason: 'a\ud800', wasClean: 'x' } as unknown as CloseEventInit
    assert.deepEqual(look(new CloseEvent('x', init)), [1, 'a\ufffd', true])
    assert.equal(new CloseEvent(undefined as unknown as string).type, 'undefined')
    assert.equal(new CloseEvent('x', { reason: null } as unknown as CloseEventInit).reason, 'null')
  })

  it('throws for what cannot be converted', () => {
    const construct = CloseEvent as unknown as new (...args: unknown[]) => CloseEvent
    assert.throws(() => new construct(), /^TypeError: CloseEvent: 1 argument required/)
    for (const init of [5, 'x', { code: 1n }, { code: Symbol('x') }, { reason: Symbol('x') }])
      assert.throws(() => new construct('x', init), TypeError)
    assert.throws(() => new construct(Symbol('x')), TypeError)
  })

  it('takes members in the order of their names, those of an event first', () => {
    const order: string[] = []
    const init = {}
    for (const name of ['wasClean', 'reason', 'code', 'composed', 'cancelable', 'bubbles'])
      Object.defineProperty(init, name, { get: () => void order.push(name) })
    new CloseEvent({ toString: () => `${order.push('type')}` } as unknown as string, init)
    assert.deepEqual(order, ['type', 'bubbles', 'cancelable', 'composed', 'code', 'reason', 'wasClean'])
  })

  it('has members of its class alone', () => {
    assert.deepEqual([CloseEvent.name, CloseEvent.length], ['CloseEvent', 1])
    for (const name of ['code', 'reason', 'wasClean'] as const) {
      const descriptor = Object.getOwnPropertyDescriptor(CloseEvent.prototype, name)
      assert.deepEqual([descriptor?.enumerable, descriptor?.configurable], [true, true])
      for (const other of [undefined, {}, new Event('x')])
        assert.throws(() => descriptor?.get?.call(other), /^TypeError: Illegal invocation$/)
    }
  })
})
