import assert from 'node:assert/strict'
import type { LookupFunction } from 'node:net'
import { describe, it } from 'node:test'
import { resolveAddresses } from './resolve-addresses.ts'

const { signal } = new AbortController()
const boom = Object.assign(new Error('boom'), { code: 'ENOTFOUND' })

function resolve(lookup: LookupFunction | undefined, family = 0): Promise<readonly string[]> {
  return resolveAddresses('a.example', lookup, family, signal)
}

/** A look-up that gives this, in another turn. */
function giving(...found: unknown[]): LookupFunction {
  return (_host, _options, done) => void setImmediate(done as (...given: unknown[]) => void, null, ...found)
}

describe('resolveAddresses', () => {
  it('leaves addresses as they are', async () => {
    const lookup = (): never => assert.fail('asked')
    for (const address of ['127.0.0.1', '::1'])
      assert.deepEqual(await resolveAddresses(address, lookup, 0, signal), [address])
  })

  it('gives all addresses, or the only one', async () => {
    const many: LookupFunction = (host, options, done) => {
      assert.deepEqual([host, options.all], ['a.example', true])
      done(null, [
        { address: '::2', family: 6 },
        { address: '10.0.0.2', family: 4 },
      ])
    }
    assert.deepEqual(await resolve(many), ['::2', '10.0.0.2'])
    assert.deepEqual(await resolve(many, 4), ['10.0.0.2'])
    assert.deepEqual(await resolve(many, 6), ['::2'])
    assert.deepEqual(await resolve(giving('10.0.0.1', 4)), ['10.0.0.1'])
    assert.deepEqual(await resolve(giving(['10.0.0.1', { address: '::1' }])), ['10.0.0.1', '::1'])
  })

  it('asks the system by default', async () => {
    const [first = ''] = await resolveAddresses('localhost', undefined, 0, signal)
    assert.match(first, /^(127\.0\.0\.1|::1)$/)
  })

  it('fails as the look-up does, whatever way that takes', async () => {
    await assert.rejects(
      resolve((_host, _options, done) => done(boom, [])),
      boom,
    )
    await assert.rejects(
      resolve(() => assert.fail(boom)),
      boom,
    )
    await assert.rejects(resolve((() => Promise.reject(boom)) as unknown as LookupFunction), boom)
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: a promise of another library
      then: (_resolve: unknown, reject: (error: Error) => void) => reject(boom),
    }
    await assert.rejects(resolve((() => thenable) as unknown as LookupFunction), boom)
  })

  for (const found of [
    [[]],
    [],
    [null],
    [[null]],
    [['nonsense']],
    [[{ address: 5 }]],
    [[{}, undefined]],
    [{}],
  ]) {
    it(`finds nothing in ${JSON.stringify(found)}`, () =>
      assert.rejects(resolve(giving(...found)), { message: 'a.example has no address', code: 'ENOTFOUND' }))
  }

  it('is given up with the signal', async () => {
    const controller = new AbortController()
    const resolved = resolveAddresses('a.example', () => {}, 0, controller.signal)
    controller.abort(boom)
    await assert.rejects(resolved, boom)
  })
})
