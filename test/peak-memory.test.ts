import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, test } from 'node:test'
import { assertNoLeaks } from './leaks.ts'
import { root } from './repo.ts'

after(() => assertNoLeaks())

const MiB = 1024 * 1024
const script = JSON.stringify(new URL('../scripts/peak-memory.mjs', import.meta.url).href)

test('the peak is that of the process itself, not of its parent, and is counted anew', {
  skip: process.platform === 'linux' ? false : 'tells of Linux',
}, () => {
  const hoard = Buffer.alloc(200 * MiB, 1)
  const program = `const { peakMemory, resetPeakMemory } = await import(${script})
    const first = peakMemory()
    Buffer.alloc(100 * ${MiB}, 1)
    const second = peakMemory()
    globalThis.gc()
    resetPeakMemory()
    console.log(JSON.stringify([first, second, peakMemory()]))`
  const command = ['--expose-gc', '--input-type=module', '--eval', program]
  const { NODE_V8_COVERAGE: _, ...env } = process.env
  const output = execFileSync(process.execPath, command, { cwd: root, env, encoding: 'utf8' })
  const [first = 0, second = 0, third = 0] = JSON.parse(output) as number[]
  assert.ok(hoard.length > 0)
  assert.ok(first < 150 * MiB, `${first / MiB} MiB at first`)
  assert.ok(second > first + 80 * MiB, `${second / MiB} MiB behind 100 MiB more`)
  assert.ok(third < second - 50 * MiB, `${third / MiB} MiB, anew`)
})
