import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { assertNoLeaks } from '../../test/leaks.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { processWheel, TimerWheel } from '../conn/timer-wheel.ts'
import { FilesWatch, type Look } from './files-watch.ts'

after(() => assertNoLeaks())

function failing(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: of a test`), { code })
}

describe('FilesWatch', () => {
  it('looks once in a second, and tells of no files left and of nothing else', () => {
    const clock = new FakeClock()
    const told: string[] = []
    const answers = [null, failing('EMFILE'), failing('ENFILE'), failing('EACCES'), null]
    const look: Look = (answer) => answer(answers.shift() ?? null)
    const watch = new FilesWatch((error) => void told.push(error.message), new TimerWheel(clock), look)
    for (let i = 0; i < 5; i++) clock.advance(1_200)
    assert.equal(answers.length, 0)
    assert.deepEqual(told, ['EMFILE: of a test', 'ENFILE: of a test'])
    watch.end()
    assert.equal(clock.running, 0)
  })

  it('says and does nothing once it has ended, though it was just looking', () => {
    const clock = new FakeClock()
    let answer: Parameters<Look>[0] = () => assert.fail('it has not looked')
    const watch = new FilesWatch(
      () => assert.fail('told'),
      new TimerWheel(clock),
      (told) => {
        answer = told
      },
    )
    clock.advance(1_200)
    watch.end()
    answer(failing('EMFILE'))
    assert.equal(clock.running, 0)
  })

  it('opens and closes a file', async () => {
    const looked = new Promise<void>((resolve, reject) => {
      const watch = new FilesWatch(reject, processWheel)
      const { schedule } = processWheel
      processWheel.schedule = function (entry, delay) {
        schedule.call(this, entry, delay)
        if (entry !== watch) return
        processWheel.schedule = schedule
        watch.end()
        resolve()
      }
      watch.onDue()
    })
    await looked
  })
})
