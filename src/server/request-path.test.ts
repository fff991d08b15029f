import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { requestPath } from './request-path.ts'

describe('requestPath', () => {
  const table: [target: string, path: string][] = [
    ['/', '/'],
    ['/ws', '/ws'],
    ['/ws?a=b/c', '/ws'],
    ['/%77s/../ws', '/%77s/../ws'],
    ['//ws', '//ws'],
    ['http://127.0.0.1', '/'],
    ['http://127.0.0.1/', '/'],
    ['HTTPS://a.example:8443/ws?a', '/ws'],
    ['http://[::1]:80/ws', '/ws'],
    ['http://a/x/../ws', '/x/../ws'],
    // The host ends where the query or a fragment begins.
    ['http://127.0.0.1?/ws', '/'],
    ['http://127.0.0.1?a=b/ws', '/'],
    ['http://127.0.0.1#/ws', '/'],
    ['http://127.0.0.1/ws#x', '/ws'],
  ]
  for (const [target, path] of table) {
    it(`is ${path} for ${target}`, () => assert.equal(requestPath(target), path))
  }

  const none = [
    '',
    '*',
    'ws',
    'a:80',
    'ftp://a/ws',
    'http:/ws',
    'http:///ws',
    'http://?/ws',
    'http://user:pw@127.0.0.1/ws',
    'http://@127.0.0.1/ws',
    'http://127.0.0.1\\x/ws',
    'http://127.0.0.1/\\../ws',
    'http://a:port/ws',
    'http://a b/ws',
    'http://[/ws',
  ]
  for (const target of none) {
    it(`is none for ${JSON.stringify(target)}`, () => assert.equal(requestPath(target), ''))
  }

  it('is no path that URL would not find in the same target', () => {
    const piece = fc.constantFrom(
      '/',
      '/ws',
      '?',
      '#',
      '\\',
      '@',
      ':',
      'a',
      'ws',
      '..',
      '.',
      '127.0.0.1',
      '=',
      '%2f',
    )
    const scheme = fc.constantFrom('http://', 'https://', 'HTTP://', 'http:', 'http:///', 'ws://', '')
    const target = fc
      .tuple(scheme, fc.array(piece, { maxLength: 6 }))
      .map(([first, rest]) => first + rest.join(''))
    fc.assert(
      fc.property(target, (text) => {
        const path = requestPath(text)
        // What has dots or another host in it stands as it is; nobody can mistake it for a simple path.
        if (path === '/' || path === '/ws') assert.equal(new URL(text, 'http://host').pathname, path)
      }),
      { numRuns: 2_000 },
    )
  })
})
