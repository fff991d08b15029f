import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { type Look, watchFiles } from './watch-files.ts'

after(() => assertNoLeaks())

function failing(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: of a test`), { code })
}

describe('watchFiles', () => {
  it('looks once in a second, and tells of no files left and of nothing else', () => {
    const clock = new FakeClock()
    const told: string[] = []
    const answers = [null, failing('EMFILE'), failing('ENFILE'), failing('EACCES'), null]
    const look: Look = (answer) => answer(answers.shift() ?? null)
    const end = watchFiles((error) => void told.push(error.message), clock, look)
    clock.advance(5_000)
    assert.equal(answers.length, 0)
    assert.deepEqual(told, ['EMFILE: of a test', 'ENFILE: of a test'])
    end()
    assert.equal(clock.running, 0)
  })

  it('says nothing once it has ended, though it was just looking', () => {
    const clock = new FakeClock()
    let answer: Parameters<Look>[0] = () => assert.fail('it has not looked')
    const end = watchFiles(
      () => assert.fail('told'),
      clock,
      (told) => {
        answer = told
      },
    )
    clock.advance(1_000)
    end()
    answer(failing('EMFILE'))
    assert.equal(clock.running, 0)
  })

  it('opens a file, and closes it', async () => {
    const clock = new FakeClock()
    const end = watchFiles((error) => assert.fail(error), clock)
    clock.advance(3_000)
    end()
    await assertNoLeaks()
  })
})
