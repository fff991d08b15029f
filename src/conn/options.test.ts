import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UsageError } from '../session/errors.ts'
import { maxSubprotocols } from '../wire/header-grammar.ts'
import { checkNames, checkSignal, checkSubprotocols, signalOf } from './options.ts'

function refuses(check: () => void, message: RegExp): void {
  assert.throws(check, (error) => {
    assert.ok(error instanceof UsageError)
    assert.equal(error.code, 'ERR_WS_INVALID_OPTION')
    assert.match(error.message, message)
    return true
  })
}

describe('checkNames', () => {
  it('takes some or none of the names', () => {
    checkNames({}, ['port', 'host'])
    checkNames({ port: undefined, host: 'x' }, ['port', 'host'])
  })

  it('names an option that does not exist, and those that do', () => {
    refuses(
      () => checkNames({ prot: 1 }, ['port', 'host']),
      /^prot is not an option; the options are port, host$/,
    )
    refuses(() => checkNames({ constructor: 1 }, ['port']), /^constructor is not/)
  })

  it('wants an object', () => {
    for (const options of [null, 5, 'port', undefined])
      refuses(() => checkNames(options as unknown as object, []), /^options must be an object, not /)
  })
})

describe('checkSubprotocols', () => {
  it('takes a list of different tokens', () => {
    checkSubprotocols([])
    checkSubprotocols(['chat', 'news.v2', 'Chat'])
    checkSubprotocols(Array.from({ length: maxSubprotocols }, (_, i) => `p${i}`))
  })

  it('refuses everything else', () => {
    for (const list of ['chat', null, undefined, { 0: 'chat' }, new Set(['chat'])])
      refuses(() => checkSubprotocols(list), /must be a list/)
    for (const name of ['', 'a b', 'a,b', 'é', 5, null])
      refuses(() => checkSubprotocols([name]), /is not a token/)
    refuses(() => checkSubprotocols(['a', 'b', 'a']), /each may be named once/)
    refuses(
      () => checkSubprotocols(Array.from({ length: maxSubprotocols + 1 }, (_, i) => `p${i}`)),
      /at most/,
    )
  })
})

describe('signalOf', () => {
  it('takes signals of the runtime where others have taken their place, and those others', () => {
    const { signal } = new AbortController()
    const before = globalThis.AbortSignal
    class Other {}
    try {
      globalThis.AbortSignal = Other as unknown as typeof AbortSignal
      for (const each of [signal, new Other()]) {
        assert.equal(signalOf({ signal: each } as object), each)
        refuses(() => signalOf(each as object), /^options must be an object with a signal/)
      }
    } finally {
      globalThis.AbortSignal = before
    }
  })

  it('is the signal, if there is one', () => {
    const { signal } = new AbortController()
    assert.equal(signalOf({ signal }), signal)
    assert.equal(signalOf({}), undefined)
    assert.equal(signalOf(undefined), undefined)
    assert.equal(signalOf({ signal, text: 'bytes' } as object, ['signal', 'text']), signal)
  })

  it('refuses what is none, and a signal in the place of the options', () => {
    const { signal } = new AbortController()
    refuses(() => signalOf({ signal: {} } as object), /^signal must be an AbortSignal/)
    refuses(() => checkSignal(null), /^signal must be an AbortSignal/)
    refuses(() => signalOf({ text: 'bytes' } as object), /^text is not an option/)
    refuses(() => signalOf(signal as object), /^options must be an object with a signal/)
  })
})
