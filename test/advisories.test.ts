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

/** Every advisory that is known, so that a row that is lost is missed. */
const known = [
  'CVE-2016-10518',
  'CVE-2016-10542',
  'CVE-2018-1000518',
  'CVE-2020-27813',
  'CVE-2020-36048',
  'CVE-2020-36049',
  'CVE-2020-36406',
  'CVE-2020-7662',
  'CVE-2020-7663',
  'CVE-2021-32640',
  'CVE-2021-33880',
  'CVE-2022-21676',
  'CVE-2022-41940',
  'CVE-2023-26103',
  'CVE-2023-31125',
  'CVE-2023-32695',
  'CVE-2023-43669',
  'CVE-2024-37890',
  'CVE-2026-12151',
  'CVE-2026-1526',
  'CVE-2026-1527',
  'CVE-2026-1528',
  'CVE-2026-2229',
  'CVE-2026-45736',
  'CVE-2026-48779',
  'CVE-2026-54463',
  'CVE-2026-54464',
  'CVE-2026-54465',
  'CVE-2026-54466',
  'CVE-2026-54467',
  'CVE-2026-54468',
  'CVE-2026-54490',
  'CVE-2026-59725',
  'GHSA-2mhh-w6q8-5hxw',
  'GHSA-2x63-gw47-w4mm',
  'GHSA-3h5v-q93c-6h6q',
  'GHSA-4992-7rv2-5pvq',
  'GHSA-58qx-3vcg-4xpx',
  'GHSA-5v72-xg48-5rpm',
  'GHSA-6fc8-4gx4-v693',
  'GHSA-8h6x-h86x-75wh',
  'GHSA-96hv-2xvq-fx4p',
  'GHSA-c4j6-fc7j-m34r',
  'GHSA-jf24-p9p9-4rjh',
  'GHSA-mp7j-qc5w-4988',
  'GHSA-p773-8mf4-rjm5',
  'GHSA-vrm6-8vpv-qv8q',
  'GHSA-vxpw-j846-p89q',
  'GHSA-xv26-6w52-cph6',
  'RUSTSEC-2023-0065',
  'SNYK-GOLANG-NHOOYRIOWEBSOCKET-1244972',
]

test('all ids that are known are there, and no others', () => {
  const ids = rows.flatMap(({ entry }) => entry.match(/(CVE|GHSA|SNYK|RUSTSEC)-[\w-]+/g) ?? [])
  assert.deepEqual([...new Set(ids)].sort(), known)
})
