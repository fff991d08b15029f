// The table of docs/advisories.md and the tests of the advisories have the same entries.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { filesBelow, root } from './repo.ts'

const text = (path: string): string => readFileSync(join(root, path), 'utf8')

const rows = text('docs/advisories.md')
  .split('\n')
  .filter((line) => /^\| .*`test\//.test(line))
  .map((line) => {
    const [, entry = '', wrong = '', why = '', proof = ''] = line.split('|').map((cell) => cell.trim())
    const [, file = '', title = ''] = /^`([^`]+)` "([^"]+)"$/.exec(proof) ?? []
    return { entry, wrong, why, file, title }
  })

const tests = filesBelow('test', '.test.ts')
  .filter((path) => /^test\/advisories-/.test(path))
  .flatMap((file) =>
    [...text(file).matchAll(/^test\('((?:[^'\\]|\\.)+)'/gm)].map(([, title]) => ({ file, title })),
  )

test('every entry has one test, and every test one entry', () => {
  assert.ok(rows.length >= 30)
  const proofs = rows.map(({ file, title }) => ({ file, title }))
  const sorted = (list: readonly { readonly title?: string | undefined }[]): unknown[] =>
    [...list].sort((a, b) => String(a.title).localeCompare(String(b.title)))
  assert.deepEqual(sorted(proofs), sorted(tests))
})

test('a test has the name of its entry, and every cell says something', () => {
  for (const { entry, wrong, why, title } of rows) {
    const names = title.slice(0, title.indexOf(': '))
    assert.ok(entry.startsWith(names), `"${entry}" is proved by "${title}"`)
    assert.ok(wrong.length > 20 && why.length > 15, entry)
  }
})

test('all ids that are known are there', () => {
  const ids = rows.flatMap(({ entry }) => entry.match(/(CVE|GHSA|SNYK|RUSTSEC)-[\w-]+/g) ?? [])
  assert.ok(new Set(ids).size >= 50, `${new Set(ids).size} ids`)
  for (const id of ids)
    assert.match(id, /^(CVE-\d{4}-\d{4,}|GHSA(-\w{4}){3}|SNYK-[\w-]+|RUSTSEC-\d{4}-\d{4})$/)
})
