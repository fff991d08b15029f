import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { assertNoLeaks } from '../leaks.ts'
import { webGroups } from './whatwg/catalogue.ts'
import { playWebCase } from './whatwg/web-case.ts'

after(() => assertNoLeaks())

for (const { name, cases } of webGroups) {
  test(`${name}: all cases of the class`, async () => {
    const problems: string[] = []
    for (const subject of cases) {
      const problem = await playWebCase(subject)
      if (problem !== undefined) problems.push(`${subject.id}: ${problem}`)
    }
    assert.deepEqual(problems, [])
  })
}
