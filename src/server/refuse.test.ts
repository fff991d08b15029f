import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UsageError } from '../session/errors.ts'
import { isRefusal, refuse } from './refuse.ts'

describe('refuse', () => {
  it('makes an answer', () => {
    const { status, headers, body } = refuse(302, { headers: { Location: '/login' }, body: 'go there\n' })
    assert.deepEqual([status, headers, body], [302, { Location: '/login' }, 'go there\n'])
  })

  it('says what the status says, when it is not told', () => {
    assert.deepEqual(
      [refuse(401).headers, refuse(401).body, refuse(599).body],
      [{}, 'Unauthorized\n', '599\n'],
    )
    assert.equal(refuse(401, { headers: undefined, body: undefined }).body, 'Unauthorized\n')
  })

  const wrong: [name: string, make: () => unknown, message: RegExp][] = [
    ['a status of success', () => refuse(200), /status from 300 to 599, not 200/],
    ['a switch of protocols', () => refuse(101), /not 101/],
    ['a fraction', () => refuse(401.5), /not 401.5/],
    ['text for a status', () => refuse('401' as never), /not 401/],
    ['a body that is no text', () => refuse(401, { body: 7 as never }), /is a string, not number/],
    ['a header name that is none', () => refuse(401, { headers: { 'a\r\nb': 'c' } }), /is not a header name/],
    [
      'headers of the fetch API',
      () => refuse(401, { headers: new Headers() as never }),
      /an object of names/,
    ],
    ['null for headers', () => refuse(401, { headers: null as never }), /an object of names/],
  ]
  for (const [name, make, message] of wrong) {
    it(`throws at ${name}`, () => {
      assert.throws(make, (error: unknown) => {
        assert.ok(error instanceof UsageError && error.code === 'ERR_WS_INVALID_ARGUMENT')
        assert.match(error.message, message)
        return true
      })
    })
  }
})

describe('isRefusal', () => {
  it('knows those of any copy of the package, and nothing else', async () => {
    const url = new URL('./refuse.ts?copy', import.meta.url).href
    const copy = (await import(url)) as typeof import('./refuse.ts')
    assert.notEqual(copy.Refusal, refuse(401).constructor)
    for (const refusal of [refuse(401), copy.refuse(401)]) assert.equal(isRefusal(refusal), true)
    for (const other of [undefined, null, 0, '', {}, { status: 401, headers: {}, body: '' }, new Error('no')])
      assert.equal(isRefusal(other), false)
  })
})
