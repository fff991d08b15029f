import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { assertNoLeaks } from '../../test/leaks.ts'
import { addressKey } from './address-key.ts'

after(() => assertNoLeaks())

describe('addressKey', () => {
  const table: [address: string, key: string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:8080', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['[::ffff:192.0.2.1]:443', '192.0.2.1'],
    ['64:ff9b::192.0.2.1', '192.0.2.1'],
    ['64:ff9b:1::192.0.2.1', '64:ff9b:1:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['[2001:db8::1]', '2001:db8:0:0::/64'],
    ['[2001:db8::1]:65535', '2001:db8:0:0::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['::', '0:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::1.2.3.4', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['ann@example.com', 'ann@example.com'],
    ['203.0.113.9:alice', '203.0.113.9:alice'],
    ['203.0.113.9:', '203.0.113.9:'],
    ['203.0.113.9:123456', '203.0.113.9:123456'],
    ['203.0.113.9:1:2', '203.0.113.9:1:2'],
    ['[2001:db8::1]tenant-7', '[2001:db8::1]tenant-7'],
    ['[2001:db8::1]:tenant', '[2001:db8::1]:tenant'],
    ['[192.0.2.1', '[192.0.2.1'],
    ['ann:1:2', 'ann:1:2'],
    ['1.2.3', '1.2.3'],
    ['[x]', '[x]'],
    ['[', '['],
    [':', ':'],
    ['', ''],
    [`::1${' '.repeat(100)}`, `::1${' '.repeat(100)}`],
  ]
  for (const [address, key] of table) {
    it(`${address}: ${key}`, () => assert.equal(addressKey(address), key))
  }

  it('is one for all addresses of a network, and another for the next network', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        fc.pre(isIPv6(address))
        const key = addressKey(address)
        if (!key.endsWith('::/64')) return assert.match(key, /^[\d.]+$/)
        assert.equal(addressKey(key.replace('::/64', ':a:b:c:d')), key)
        const [first = '', ...rest] = key.split(':')
        const other = (Number.parseInt(first, 16) ^ 1).toString(16)
        assert.notEqual(addressKey([other, ...rest].join(':').replace('::/64', ':a:b:c:d')), key)
      }),
    )
  })

  it('answers whatever the text is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(typeof addressKey(text), 'string')),
    )
  })
})
