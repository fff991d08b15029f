import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defineEventHandlers, EventHandlers } from './event-handlers.ts'

class Target extends EventTarget {
  readonly handlers: EventHandlers = new EventHandlers(this)
  declare onping: unknown

  static {
    defineEventHandlers(Target, ['ping', 'pong'], (target) => (target as Target).handlers)
  }
}

/** A target whose listeners say their names. */
function setUp() {
  const target = new Target()
  const log: string[] = []
  const say = (name: string) => () => void log.push(name)
  const dispatch = () => {
    target.dispatchEvent(new Event('ping'))
    return log.splice(0)
  }
  return { target, say, dispatch }
}

describe('an event handler', () => {
  it('may be a function of any kind', () => {
    const { target, dispatch } = setUp()
    let calls = 0
    target.onping = Object.setPrototypeOf(() => void calls++, null)
    dispatch()
    assert.equal(calls, 1)
  })

  it('is null, or what it was set to, if that is an object', () => {
    const { target } = setUp()
    assert.equal(target.onping, null)
    const handler = (): void => {}
    for (const value of [handler, {}, []]) {
      target.onping = value
      assert.equal(target.onping, value)
    }
    for (const value of [5, 'x', true, undefined, Symbol('x'), 1n, null]) {
      target.onping = handler
      target.onping = value
      assert.equal(target.onping, null)
    }
  })

  it('is called in the place where it was set first', () => {
    const { target, say, dispatch } = setUp()
    target.addEventListener('ping', say('first'))
    target.onping = say('handler')
    target.addEventListener('ping', say('last'))
    assert.deepEqual(dispatch(), ['first', 'handler', 'last'])
    target.onping = say('other')
    assert.deepEqual(dispatch(), ['first', 'other', 'last'])
    target.onping = null
    assert.deepEqual(dispatch(), ['first', 'last'])
    target.onping = say('again')
    assert.deepEqual(dispatch(), ['first', 'last', 'again'])
  })

  it('that is no function holds its place and does nothing', () => {
    const { target, say, dispatch } = setUp()
    target.onping = { handleEvent: () => assert.fail('called') }
    target.addEventListener('ping', say('listener'))
    assert.deepEqual(dispatch(), ['listener'])
    target.onping = say('handler')
    assert.deepEqual(dispatch(), ['handler', 'listener'])
  })

  it('gets the event, with the target as this', () => {
    const { target } = setUp()
    const event = new Event('ping')
    const calls: unknown[] = []
    target.onping = function (this: unknown, ...args: unknown[]) {
      calls.push(this, ...args)
    }
    target.dispatchEvent(event)
    assert.equal(calls.length, 2)
    assert.ok(calls[0] === target && calls[1] === event)
  })

  it('cancels by returning false, and by nothing else', () => {
    const { target } = setUp()
    for (const [value, expected] of [
      [false, false],
      [0, true],
      ['', true],
      [null, true],
      [undefined, true],
      [true, true],
    ]) {
      target.onping = () => value
      assert.equal(target.dispatchEvent(new Event('ping', { cancelable: true })), expected)
    }
  })

  it('is for events of its own type', () => {
    const { target, say, dispatch } = setUp()
    ;(target as unknown as { onpong: unknown }).onpong = say('pong')
    assert.deepEqual(dispatch(), [])
  })

  it('has an accessor by its name', () => {
    const { get, set, enumerable, configurable } = Object.getOwnPropertyDescriptor(
      Target.prototype,
      'onping',
    ) as PropertyDescriptor
    assert.deepEqual(
      [get?.name, set?.name, enumerable, configurable],
      ['get onping', 'set onping', true, true],
    )
  })
})
