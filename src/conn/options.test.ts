import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UsageError } from '../session/errors.ts'
import { maxSubprotocols } from '../wire/header-grammar.ts'
import { checkNames, checkSubprotocols } from './options.ts'

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
