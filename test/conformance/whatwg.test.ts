import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { assertNoLeaks } from '../leaks.ts'
import { webGroups } from './whatwg/catalogue.ts'
import { playWebGroup } from './whatwg/play-group.ts'

after(() => assertNoLeaks())

for (const group of webGroups) {
  test(`${group.name}: all cases of the class`, async () => {
    const outcomes = await playWebGroup(group)
    const problems = outcomes.filter(({ problem }) => problem !== undefined)
    assert.deepEqual(
      problems.map(({ id, problem }) => `${id}: ${problem}`),
      [],
    )
  })
}
