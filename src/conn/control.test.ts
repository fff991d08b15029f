import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UsageError } from '../session/errors.ts'
import {
  answerClose,
  type ControlHandlers,
  checkCloseFrame,
  checkControlHandlers,
  controlNames,
  tellControl,
} from './control.ts'

const usage =
  (code: string, message: RegExp) =>
  (error: unknown): boolean =>
    error instanceof UsageError && error.code === code && message.test(error.message)

/** The failures that an owner hears of. */
function noting(): { errors: unknown[]; listenerFailed: (error: unknown) => void } {
  const errors: unknown[] = []
  return { errors, listenerFailed: (error) => errors.push(error) }
}

describe('handlers of control frames', () => {
  it('are functions, and one setting', () => {
    checkControlHandlers({})
    const all: Required<ControlHandlers> = { ping() {}, pong() {}, close() {}, autoPong: false }
    checkControlHandlers(all)
    assert.deepEqual([...controlNames].sort(), Object.keys(all).sort())
    checkControlHandlers({ ping: undefined, autoPong: undefined })
    for (const name of controlNames) {
      const handlers = { [name]: 5 } as ControlHandlers
      assert.throws(
        () => checkControlHandlers(handlers),
        usage('ERR_WS_INVALID_OPTION', new RegExp(`^onControl: ${name} must be a `)),
      )
    }
  })

  it('get a payload of their own', () => {
    const owner = noting()
    const heard: Uint8Array[] = []
    const payload = Buffer.from('payload')
    tellControl({ ping: (bytes) => heard.push(bytes) }, 'ping', payload, owner)
    tellControl({ ping: (bytes) => heard.push(bytes) }, 'pong', payload, owner)
    tellControl(undefined, 'ping', payload, owner)
    payload.fill('x')
    assert.deepEqual([heard.map(String), owner.errors], [['payload'], []])
  })

  it('may return anything, and fail now or later', async () => {
    const owner = noting()
    const tell = (ping: () => unknown): void => tellControl({ ping }, 'ping', Buffer.alloc(0), owner)
    for (const value of [undefined, null, 5, {}, Promise.resolve()]) tell(() => value)
    const [now, later] = [new Error('now'), new Error('later')]
    tell(() => {
      throw now
    })
    tell(() => Promise.reject(later))
    assert.deepEqual(owner.errors, [now])
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(owner.errors, [now, later])
  })
})

describe('the answer to a Close frame', () => {
  const frame = { code: 4000, reason: 'bye' }

  it('is the same code without a reason, unless a handler gives another', () => {
    const same = { code: 4000, reason: '' }
    assert.deepEqual(answerClose(undefined, frame), same)
    assert.deepEqual(answerClose({}, frame), same)
    assert.deepEqual(answerClose({ close: () => undefined }, frame), same)
    const other = { code: 1000, reason: 'see you' }
    assert.deepEqual(answerClose({ close: () => other }, frame), other)
    assert.deepEqual(answerClose({ close: ({ code, reason }) => ({ code, reason: `${reason}!` }) }, frame), {
      code: 4000,
      reason: 'bye!',
    })
  })

  it('may be without a code, as the peer may have sent it', () => {
    const none = { code: 1005, reason: '' }
    assert.deepEqual(answerClose(undefined, none), none)
    assert.deepEqual(answerClose({ close: (given) => given }, none), none)
  })

  it('is the usual one where a handler returns null, as programs in JavaScript do', () => {
    const close = (() => null) as unknown as () => undefined
    assert.deepEqual(answerClose({ close }, frame), { code: frame.code, reason: '' })
  })

  it('may hold what any Close frame may', () => {
    for (const bad of [
      { code: 1006, reason: '' },
      { code: 5000, reason: '' },
      { code: 1000, reason: 'x'.repeat(124) },
      {},
    ])
      assert.throws(
        () => answerClose({ close: () => bad as typeof frame }, frame),
        usage('ERR_WS_INVALID_ARGUMENT', /^(close code|a close reason)/),
      )
  })
})

describe('the answer to a Close frame, given late', () => {
  it('is refused, and what becomes of it ends no process', async () => {
    const unhandled: unknown[] = []
    const note = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', note)
    for (const late of [
      Promise.resolve({ code: 1000, reason: '' }),
      Promise.reject(new Error('late')),
      // biome-ignore lint/suspicious/noThenProperty: a promise of another library
      { then: (_resolve: unknown, reject: (error: unknown) => void) => reject(new Error('late')) },
    ])
      assert.throws(
        () => answerClose({ close: () => late as unknown as undefined }, { code: 4000, reason: 'bye' }),
        usage('ERR_WS_INVALID_ARGUMENT', /^the close handler must answer at once/),
      )
    for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', note)
    assert.deepEqual(unhandled, [])
  })
})

describe('a Close frame', () => {
  it('has a code that may be sent, and a reason of at most 123 bytes', () => {
    for (const code of [1000, 1001, 1014, 3000, 4999]) checkCloseFrame(code, '')
    checkCloseFrame(1000, 'x'.repeat(123))
    checkCloseFrame(1000, `${'é'.repeat(61)}x`)
    for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, Number.NaN, '1000', null])
      assert.throws(
        () => checkCloseFrame(code as number, ''),
        usage('ERR_WS_INVALID_ARGUMENT', /may not be sent/),
        `${code}`,
      )
    for (const reason of ['x'.repeat(124), 'é'.repeat(62), 5, undefined, null])
      assert.throws(
        () => checkCloseFrame(1000, reason as string),
        usage('ERR_WS_INVALID_ARGUMENT', /123 bytes/),
        `${reason}`,
      )
  })
})
