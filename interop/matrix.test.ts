// The tables of README.md are those of the scenarios: what is not tried is to be seen.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { kinds } from './matrix/peer-kind.ts'
import { applies } from './matrix/run-matrix.ts'
import { scenarios } from './matrix/scenarios.ts'
import { lacksTable, matrixTable } from './matrix/table.ts'

const readme = readFileSync(new URL('README.md', import.meta.url), 'utf8')

for (const table of [matrixTable(kinds), lacksTable(kinds)]) {
  test('README.md has the table as it is', () => {
    assert.ok(readme.includes(`\n${table}\n`), `interop/README.md should have:\n\n${table}\n`)
  })
}

test('every scenario is gone through by somebody, and has a name of its own', () => {
  for (const scenario of scenarios) {
    const somebody = kinds.some((kind) => kind.sides.some((side) => applies(kind, side, scenario)))
    assert.ok(somebody, scenario.name)
  }
  assert.equal(new Set(scenarios.map(({ name }) => name)).size, scenarios.length)
})
