import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ExtensionFactory } from '../protocol/extension.ts'
import { resolveExtensions } from './extension-options.ts'

function factory(name: string): ExtensionFactory {
  return { name, offers: () => [], accept: () => undefined, negotiate: () => undefined }
}

test('none by default; those of the application stand before compression', () => {
  const names = (options: Parameters<typeof resolveExtensions>[0]): string[] =>
    resolveExtensions(options).map(({ name }) => name)
  assert.deepEqual(names({}), [])
  assert.deepEqual(names({ compression: false, extensions: undefined }), [])
  assert.deepEqual(names({ compression: true }), ['permessage-deflate'])
  assert.deepEqual(names({ compression: {}, extensions: [factory('x-b'), factory('x-a')] }), [
    'x-b',
    'x-a',
    'permessage-deflate',
  ])
  assert.deepEqual(names({ extensions: [factory('permessage-deflate')] }), ['permessage-deflate'])
})

test('what cannot be is named', () => {
  for (const [options, message] of [
    [{ compression: 'yes' }, /^compression must be/],
    [{ compression: { level: 11 } }, /^compression\.level/],
    [{ extensions: factory('x-a') }, /^extensions must be a list/],
    [{ extensions: [null] }, /^extensions: the name undefined is not a token$/],
    [{ extensions: ['x-a'] }, /^extensions: the name undefined is not a token$/],
    [{ extensions: [factory('x a')] }, /^extensions: the name "x a" is not a token$/],
    [
      { extensions: [{ name: 'x-a', offers() {}, accept() {} }] },
      /^extensions: x-a has no method negotiate$/,
    ],
    [{ extensions: [factory('x-a'), factory('x-a')] }, /^extensions: x-a is there twice$/],
    [
      { compression: true, extensions: [factory('permessage-deflate')] },
      /^extensions: permessage-deflate is there twice$/,
    ],
  ] as const) {
    assert.throws(() => resolveExtensions(options as never), { code: 'ERR_WS_INVALID_OPTION', message })
  }
})
