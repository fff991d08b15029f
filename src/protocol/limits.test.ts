import assert from 'node:assert/strict'
import { constants } from 'node:buffer'
import { describe, it } from 'node:test'
import { UsageError } from '../session/errors.ts'
import { defaultLimits, type Limits, resolveLimits } from './limits.ts'

function refuses(given: unknown, message: RegExp): void {
  assert.throws(
    () => resolveLimits(given as Partial<Limits>),
    (error) => {
      assert.ok(error instanceof UsageError)
      assert.equal(error.code, 'ERR_WS_INVALID_OPTION')
      assert.match(error.message, message)
      return true
    },
  )
}

const names = Object.keys(defaultLimits) as (keyof Limits)[]
const sizes = names.filter((name) => name.startsWith('max'))
const times = names.filter((name) => !name.startsWith('max') && name !== 'fragmentSize')

describe('limits', () => {
  it('are these by default', () => {
    assert.deepEqual(defaultLimits, {
      maxMessageSize: 1_048_576,
      maxFrameSize: 1_048_576,
      maxStreamSize: 1_048_576,
      fragmentSize: 131_072,
      maxSendBuffer: 4_194_304,
      maxQueuedMessages: 64,
      maxQueuedBytes: 1_048_576,
      handshakeTimeout: 10_000,
      pingInterval: 25_000,
      pongTimeout: 20_000,
      closeTimeout: 5_000,
    })
    assert.ok(Object.isFrozen(defaultLimits))
    assert.equal(resolveLimits(undefined), defaultLimits)
    assert.deepEqual(resolveLimits({}), defaultLimits)
  })

  it('that are given replace the defaults, and nothing changes them afterwards', () => {
    const limits = resolveLimits({ maxQueuedMessages: 5, pongTimeout: 0 })
    assert.deepEqual(limits, { ...defaultLimits, maxQueuedMessages: 5, pongTimeout: 0 })
    assert.ok(Object.isFrozen(limits))
    assert.equal(defaultLimits.maxQueuedMessages, 64)
  })

  it('can build upon others', () => {
    const base = resolveLimits({ closeTimeout: 1, maxMessageSize: 10 })
    assert.equal(resolveLimits(undefined, base), base)
    const limits = resolveLimits({ pingInterval: 2 }, base)
    assert.deepEqual([limits.closeTimeout, limits.pingInterval, limits.maxMessageSize], [1, 2, 10])
  })

  it('that are undefined are not given', () => {
    assert.deepEqual(
      resolveLimits({ maxFrameSize: undefined, maxMessageSize: undefined } as unknown as Partial<Limits>),
      defaultLimits,
    )
  })

  it('of the message alone hold for the frame too', () => {
    assert.equal(resolveLimits({ maxMessageSize: 64 }).maxFrameSize, 64)
    assert.equal(resolveLimits({ maxMessageSize: 1 << 26 }).maxFrameSize, 1 << 26)
    assert.equal(resolveLimits({ maxMessageSize: 64, maxFrameSize: 32 }).maxFrameSize, 32)
    assert.equal(resolveLimits({ maxFrameSize: 32 }).maxMessageSize, defaultLimits.maxMessageSize)
  })

  it('of a stream hold for frames, and are those of a message unless given', () => {
    const stream = resolveLimits({ maxStreamSize: 1 << 26 })
    assert.deepEqual(
      [stream.maxStreamSize, stream.maxFrameSize, stream.maxMessageSize],
      [1 << 26, 1 << 26, 1 << 20],
    )
    assert.equal(resolveLimits({ maxMessageSize: 64 }).maxStreamSize, 64)
    assert.equal(resolveLimits({ maxMessageSize: 64, maxStreamSize: 128 }).maxFrameSize, 128)
    assert.equal(resolveLimits({ maxStreamSize: 1 << 26, maxFrameSize: 32 }).maxFrameSize, 32)
  })

  it('of a fragment leave room for a control frame', () => {
    assert.equal(resolveLimits({ fragmentSize: 125 }).fragmentSize, 125)
    for (const value of [124, 0, 1.5])
      refuses({ fragmentSize: value }, /^limits\.fragmentSize must be an integer from 125 to /)
  })

  for (const name of sizes) {
    it(`${name} is at least 1`, () => {
      assert.equal(resolveLimits({ [name]: 1 })[name], 1)
      for (const value of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '5', null, 5n, {}])
        refuses({ [name]: value }, new RegExp(`^limits\\.${name} must be an integer from 1 to \\d+, not `))
    })
  }

  for (const name of times) {
    it(`${name} is a time that a timer takes`, () => {
      for (const value of [0, 1, 2_147_483_647]) assert.equal(resolveLimits({ [name]: value })[name], value)
      for (const value of [-1, 1.5, 2_147_483_648, Number.NaN, '10'])
        refuses(
          { [name]: value },
          new RegExp(`^limits\\.${name} must be an integer from 0 to 2147483647, not `),
        )
    })
  }

  it('of a message are at most what a string can hold', () => {
    assert.equal(
      resolveLimits({ maxMessageSize: constants.MAX_STRING_LENGTH }).maxFrameSize,
      constants.MAX_STRING_LENGTH,
    )
    refuses({ maxMessageSize: constants.MAX_STRING_LENGTH + 1 }, /maxMessageSize/)
    for (const name of ['maxFrameSize', 'maxStreamSize'] as const)
      assert.equal(resolveLimits({ [name]: 2 ** 40 })[name], 2 ** 40)
  })

  it('that do not exist are named, with those that do', () => {
    refuses(
      { maxPayload: 5 },
      /^limits\.maxPayload is not a limit; the limits are maxMessageSize, .*closeTimeout$/,
    )
    refuses({ maxPayload: undefined }, /maxPayload/)
    refuses(JSON.parse('{"__proto__": 5}'), /__proto__ is not a limit/)
    refuses({ constructor: 5 }, /constructor is not a limit/)
  })

  it('come in an object', () => {
    for (const given of [null, 5, 'maxFrameSize', true, Symbol('x')])
      refuses(given, /^limits must be an object, not /)
  })
})
