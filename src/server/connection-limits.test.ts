import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ConnectionLimits, type Place } from './connection-limits.ts'

function from(remoteAddress: string | undefined): IncomingMessage {
  return { socket: { remoteAddress }, headers: {} } as unknown as IncomingMessage
}

function limitsOf(
  maxConnections: number | undefined,
  maxConnectionsPerAddress: number | undefined,
  addressOf: (request: IncomingMessage) => string | undefined = () => undefined,
): ConnectionLimits {
  return new ConnectionLimits({ maxConnections, maxConnectionsPerAddress, addressOf })
}

function take(limits: ConnectionLimits, address: string | undefined): Place {
  const place = limits.take(from(address))
  assert.ok(place.accepted, `no place for ${address}`)
  return place
}

describe('ConnectionLimits', () => {
  it('takes no more than the total: 503, and when to come back', () => {
    const limits = limitsOf(2, undefined)
    const first = take(limits, '192.0.2.1')
    take(limits, '192.0.2.1')
    assert.deepEqual(limits.take(from('192.0.2.2')), {
      accepted: false,
      status: 503,
      code: 'ERR_WS_CONNECTION_LIMIT',
      message: 'the server has as many connections as it takes',
      headers: { 'Retry-After': '10' },
    })
    first.release()
    take(limits, '192.0.2.2')
    assert.deepEqual([limits.total, limits.addresses], [2, 0], 'addresses are not asked for')
  })

  it('takes no more from one address: 429, and others are none the worse', () => {
    const limits = limitsOf(undefined, 2)
    take(limits, '192.0.2.1')
    const second = take(limits, '::ffff:192.0.2.1')
    assert.deepEqual(limits.take(from('192.0.2.1')), {
      accepted: false,
      status: 429,
      code: 'ERR_WS_ADDRESS_LIMIT',
      message: 'too many connections from this address',
      headers: { 'Retry-After': '10' },
    })
    assert.deepEqual([limits.total, limits.addresses], [2, 1], 'a refusal counts nowhere')
    take(limits, '192.0.2.2')
    second.release()
    take(limits, '192.0.2.1')
    assert.deepEqual([limits.total, limits.addresses], [3, 2])
  })

  it('counts a network of IPv6 as one', () => {
    const limits = limitsOf(undefined, 1)
    take(limits, '2001:db8::1')
    assert.equal(limits.take(from('2001:db8::ffff:1')).accepted, false)
    take(limits, '2001:db8:0:1::1')
  })

  it('lets the total go first', () => {
    const asked: unknown[] = []
    const limits = limitsOf(1, 1, (request) => void asked.push(request) as undefined)
    take(limits, '192.0.2.1')
    const denied = limits.take(from('192.0.2.1'))
    assert.equal(!denied.accepted && denied.code, 'ERR_WS_CONNECTION_LIMIT')
    assert.equal(asked.length, 1)
  })

  it('goes by addressOf, and by the connection where that says nothing', () => {
    const addresses = [
      '198.51.100.1',
      '198.51.100.1',
      '[2001:db8::1]:5',
      '2001:db8::2',
      'user 7',
      'user 7',
      undefined,
      '',
    ]
    const limits = limitsOf(undefined, 1, () => addresses.shift())
    const taken = Array.from({ length: 8 }, () => limits.take(from('192.0.2.1')).accepted)
    assert.deepEqual(taken, [true, false, true, false, true, false, true, false])
  })

  it('does not limit what has no address', () => {
    const limits = limitsOf(undefined, 1)
    const places = [take(limits, undefined), take(limits, undefined)]
    assert.deepEqual([limits.total, limits.addresses], [2, 0])
    for (const place of places) place.release()
    assert.equal(limits.total, 0)
  })

  it('passes on what addressOf throws, with nothing counted', () => {
    const limits = limitsOf(undefined, 1, () => assert.fail('boom'))
    assert.throws(() => limits.take(from('192.0.2.1')), /boom/)
    assert.deepEqual([limits.total, limits.addresses], [0, 0])
  })

  it('counts as a plain list of connections would, and forgets who has none', () => {
    const address = fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1', undefined)
    const step = fc.oneof(fc.record({ take: address }), fc.record({ release: fc.nat(9) }))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const limits = limitsOf(5, 2)
        const open: { place: Place; address: string | undefined }[] = []
        for (const each of steps) {
          if ('release' in each) {
            const [ended] = open.splice(each.release, 1)
            ended?.place.release()
            ended?.place.release()
          } else {
            const same = open.filter((other) => other.address === each.take).length
            const fits = open.length < 5 && (each.take === undefined || same < 2)
            const place = limits.take(from(each.take))
            assert.equal(place.accepted, fits)
            if (place.accepted) open.push({ place, address: each.take })
          }
          const addresses = new Set(open.flatMap((other) => other.address ?? []))
          assert.deepEqual([limits.total, limits.addresses], [open.length, addresses.size])
        }
      }),
    )
  })
})
