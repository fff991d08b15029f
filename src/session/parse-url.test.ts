import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { filesBelow, root } from '../../test/repo.ts'
import { parseUrl } from './parse-url.ts'

describe('parseUrl', () => {
  it('gives a URL, or nothing for what is none', () => {
    assert.equal(parseUrl('ws://example.org/a')?.pathname, '/a')
    assert.equal(parseUrl('b', 'ws://example.org/a/')?.pathname, '/a/b')
    assert.equal(parseUrl('b', new URL('ws://example.org/a/'))?.href, 'ws://example.org/a/b')
    for (const none of ['', 'b', '//host', 'ws://', 'ws://a b/', 'ws://host:65536/']) {
      assert.equal(parseUrl(none), undefined, none)
    }
    assert.equal(parseUrl('ws://', 'ws://example.org'), undefined)
  })

  it('takes international names also when it has been compiled', () => {
    let taken = 0
    for (let i = 0; i < 100_000; i++) if (parseUrl('ws://ä.example/ü') !== undefined) taken++
    assert.equal(taken, 100_000)
  })

  it('is what all sources use: none asks URL.canParse', () => {
    const asking = filesBelow('src', '.ts').filter(
      (path) =>
        !path.endsWith('parse-url.ts') &&
        !path.endsWith('.test.ts') &&
        readFileSync(join(root, path), 'utf8').includes('canParse('),
    )
    assert.deepEqual(asking, [])
  })
})
