// Figures stand where they were measured, with the command; other documents repeat them as they are.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from './repo.ts'

test('the figures of the guide to compression are those of the decision', () => {
  const rows = (path: string): string[] =>
    readFileSync(join(root, path), 'utf8')
      .split('\n')
      .filter((line) => /^\| \d.* us \|$/.test(line))
  const measured = rows('docs/adr/0008-compression-defaults.md')
  const quoted = rows('docs/compression.md')
  assert.ok(quoted.length > 5)
  assert.deepEqual(
    quoted.filter((row) => !measured.includes(row)),
    [],
  )
})
