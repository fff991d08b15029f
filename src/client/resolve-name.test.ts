import assert from 'node:assert/strict'
import type { LookupFunction } from 'node:net'
import { describe, it } from 'node:test'
import { resolveName } from './resolve-name.ts'

const { signal } = new AbortController()
const boom = Object.assign(new Error('boom'), { code: 'ENOTFOUND' })

describe('resolveName', () => {
  it('leaves addresses as they are', async () => {
    const lookup = (): never => assert.fail('asked')
    for (const address of ['127.0.0.1', '::1'])
      assert.equal(await resolveName(address, lookup, signal), address)
  })

  it('gives the first address, of one or of many', async () => {
    const one: LookupFunction = (_host, _options, done) => done(null, '10.0.0.1', 4)
    const many: LookupFunction = (host, options, done) => {
      assert.deepEqual([host, options.all], ['a.example', true])
      done(null, [
        { address: '::2', family: 6 },
        { address: '10.0.0.2', family: 4 },
      ])
    }
    assert.equal(await resolveName('a.example', one, signal), '10.0.0.1')
    assert.equal(await resolveName('a.example', many, signal), '::2')
  })

  it('asks the system by default', async () => {
    assert.match(await resolveName('localhost', undefined, signal), /^(127\.0\.0\.1|::1)$/)
  })

  it('fails as the look-up does', async () => {
    const failing: LookupFunction = (_host, _options, done) => done(boom, [])
    await assert.rejects(resolveName('a.example', failing, signal), boom)
    const empty: LookupFunction = (_host, _options, done) => done(null, [])
    await assert.rejects(resolveName('a.example', empty, signal), /^Error: a\.example has no address$/)
    await assert.rejects(
      resolveName('a.example', () => assert.fail(boom), signal),
      boom,
    )
  })

  it('is given up with the signal', async () => {
    const controller = new AbortController()
    const resolved = resolveName('a.example', () => {}, controller.signal)
    controller.abort(boom)
    await assert.rejects(resolved, boom)
  })
})
