// A document that says that a test proves something names one that exists.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { hasTest, proofs } from './proofs.ts'
import { filesBelow, root } from './repo.ts'

const text = (path: string): string => readFileSync(join(root, path), 'utf8')

const pages = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', ...filesBelow('docs', '.md')]

test('every test that a document names is there', () => {
  const missing = pages
    .flatMap((page) => proofs(page, text(page)))
    .filter(({ file, title }) => {
      if (!existsSync(join(root, file))) return true
      return title !== undefined && !hasTest(text(file), title)
    })
    .map(({ where, file, title }) => `${where}: ${file}${title === undefined ? '' : ` "${title}"`}`)
  assert.deepEqual(missing, [])
})

test('there are such documents', () => {
  const named = proofs('docs/closing.md', text('docs/closing.md'))
  assert.ok(named.length > 10 && named.every(({ title }) => title !== undefined))
})

test('the check itself: files with any number of titles, over lines and in tables', () => {
  const page =
    'See `a/b.test.ts`.\n| x | `c.test.ts` "one", "two" |\n(`d.test.ts` "a long\n  title") "no" `e.ts` "no"\n'
  assert.deepEqual(proofs('p.md', page), [
    { where: 'p.md:1', file: 'a/b.test.ts', title: undefined },
    { where: 'p.md:2', file: 'c.test.ts', title: 'one' },
    { where: 'p.md:2', file: 'c.test.ts', title: 'two' },
    { where: 'p.md:3', file: 'd.test.ts', title: 'a long title' },
  ])
  const source =
    "test('it\\'s (one)', f)\n  it(`of $" +
    "{role}s`, f)\ndescribe.skip(\n  \"two\", f)\nsuite.visit('no')\nvisit('no')\n"
  const found = (title: string): boolean => hasTest(`${source}for (const role of ['server'])`, title)
  assert.deepEqual(["it's (one)", 'of servers', 'two'].map(found), [true, true, true])
  assert.deepEqual(['no', 'one', 'of s', 'of clients', 'twos', "it's one"].filter(found), [])
})
