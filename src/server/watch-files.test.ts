import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { devNull } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { until } from '../../test/support/until.ts'
import { type Look, watchFiles } from './watch-files.ts'

after(() => assertNoLeaks())

/** Whether the file system is asked for something. */
function isBusy(): boolean {
  return process.getActiveResourcesInfo().includes('FSReqCallback')
}

/** The descriptors of that file: what else is opened and closed meanwhile is others' affair. */
function opened(): number {
  const folder = '/proc/self/fd'
  return readdirSync(folder).filter((descriptor) => {
    try {
      return readlinkSync(join(folder, descriptor)) === devNull
    } catch {
      // The one that the folder was read by has gone.
      return false
    }
  }).length
}

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

  it('waits for the answer before it looks again', () => {
    const clock = new FakeClock()
    const told: string[] = []
    const asked: Parameters<Look>[0][] = []
    const end = watchFiles(
      (error) => void told.push(error.message),
      clock,
      (answer) => void asked.push(answer),
    )
    clock.advance(3_600_000)
    assert.equal(asked.length, 1)
    asked[0]?.(failing('EMFILE'))
    assert.deepEqual(told, ['EMFILE: of a test'])
    clock.advance(2_000)
    assert.equal(asked.length, 2)
    end()
  })

  const skip = process.platform === 'linux' ? false : 'needs /proc'
  it('opens a file, and closes it', { skip }, async () => {
    const clock = new FakeClock()
    await until(() => !isBusy(), 'what others do with files')
    const before = opened()
    const end = watchFiles((error) => assert.fail(error), clock)
    for (let i = 0; i < 3; i++) {
      clock.advance(1_000)
      assert.ok(isBusy())
      await until(() => !isBusy(), 'the look')
    }
    end()
    assert.equal(opened(), before)
  })
})
