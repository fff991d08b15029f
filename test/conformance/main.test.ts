// The command as it is started: what it ends with.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { assertNoLeaks } from '../leaks.ts'
import { endPrograms, runProgram } from '../program.ts'

after(async () => {
  await endPrograms()
  await assertNoLeaks()
})

const ends: readonly (readonly [about: string, code: number, args: readonly string[]])[] = [
  ['cases that pass', 0, ['--case', 'framing.text.0']],
  ['a case of the class', 0, ['--case', 'constructor.no-argument']],
  ['an option that there is not', 2, ['--nope']],
  ['a group that there is not', 2, ['--group', 'nope']],
  ['a page of a part', 2, ['--write', '--group', 'framing']],
]

for (const [about, code, args] of ends) {
  test(`npm run conformance ends with ${code}: ${about}`, async () => {
    const exit = await runProgram('test/conformance/main.ts', ...args).exit
    assert.equal(exit.code, code, exit.stderr)
    assert.match(code === 0 ? exit.stdout : exit.stderr, code === 0 ? /0 failed/ : /Usage:/)
  })
}
