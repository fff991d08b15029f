import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { assertNoLeaks } from './leaks.ts'
import { root } from './repo.ts'

interface Coverage {
  readCoverage(folder: string, wanted: (path: string) => boolean): Map<string, Map<number, boolean>>
  coverageRows(
    root: string,
    folder: string,
    sources: readonly string[],
  ): { source: string; percent: number; missing: string; ok: boolean }[]
}

// The script is plain JavaScript, so its types are told here.
const script = new URL('../scripts/coverage.mjs', import.meta.url).href
const { readCoverage, coverageRows } = (await import(script)) as Coverage

// Each line begins with what is true of it: + runs, - does not, blank holds no code.
const sample = `
  import type { Socket } from 'node:net'
  /** A comment
   * of two lines. */
  export interface Options {
    readonly size: number
  }
+ export class Thing {
+   size = 1
+   constructor(size: number) {
+     this.size = size
+   }
-   unused(socket: Socket): string {
      // nothing but a comment
-     const text: string = socket.remoteAddress ?? ''
-     return text
-   }
+   branches(value: number): number {
+     if (value > 10) {
+       return 1
+     } else if (value > 5) {
-       return 2
-     }
+     return value === 3
+       ? 30
-       : 40
+   }
+ }
  export function overloaded(value: string): string
  export function overloaded(value: number): number
+ export function overloaded(value: string | number): string | number {
+   if (typeof value === 'string') return value
+   return value
+ }
+ export function catches(fail: boolean): void {
+   try {
+     if (fail) throw new Error('on purpose')
+   } catch (error) {
-     console.log(
-       'caught',
-       error,
-     )
-   }
+ }
+ export const arrow = (value: number): number => {
-   return value
- }
`.slice(1)

const lines = sample.split('\n')
const marks = (mark: string): number[] =>
  lines.flatMap((line, index) => (line[0] === mark ? [index + 1] : []))

const folder = mkdtempSync(join(tmpdir(), 'silverback-coverage-'))
after(() => rmSync(folder, { recursive: true, force: true }))

after(() => assertNoLeaks())

/** Runs a program of one line in a process of its own, under coverage. */
function runCovered(name: string, program: string): void {
  writeFileSync(join(folder, name), program)
  const env = { ...process.env, NODE_V8_COVERAGE: join(folder, 'coverage') }
  const { status, stderr } = spawnSync(process.execPath, ['--import=tsx', join(folder, name)], {
    cwd: root,
    env,
  })
  assert.equal(status, 0, String(stderr))
}

test('coverage: exact to the line, joined over processes, blind for types and comments', () => {
  for (const path of ['src/wire', 'src/conn', 'dist/wire']) mkdirSync(join(folder, path), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'src/wire/sample.ts'), lines.map((line) => line.slice(2)).join('\n'))
  writeFileSync(join(folder, 'src/wire/types.ts'), 'export type Size = number\n')
  writeFileSync(join(folder, 'dist/wire/types.js'), 'export {};\n//# sourceMappingURL=types.js.map')
  writeFileSync(join(folder, 'src/conn/never.ts'), 'export const never: number = 1\n')
  writeFileSync(join(folder, 'src/conn/whole.ts'), 'export const whole: number = 1\n')
  const thing =
    "import { Thing, catches, overloaded } from './src/wire/sample.ts'\nimport './src/conn/whole.ts'\n"
  runCovered('a.ts', `${thing}new Thing(1).branches(20); catches(false); overloaded('x')\n`)
  runCovered('b.ts', `${thing}new Thing(1).branches(3); overloaded(1)\n`)

  const coverage = join(folder, 'coverage')
  const [covered = new Map<number, boolean>()] = readCoverage(coverage, (path) =>
    path.endsWith('sample.ts'),
  ).values()
  const seen = [...covered].sort(([a], [b]) => a - b)
  const linesThat = (ran: boolean): number[] => seen.flatMap(([line, did]) => (did === ran ? [line] : []))
  assert.deepEqual(linesThat(true), marks('+'))
  assert.deepEqual(linesThat(false), marks('-'))

  const sources = ['src/wire/sample.ts', 'src/wire/types.ts', 'src/conn/never.ts', 'src/conn/whole.ts']
  const rows = coverageRows(folder, coverage, sources)
  assert.deepEqual(
    rows.map(({ source, percent, missing, ok }) => [source, Math.round(percent), missing, ok]),
    [
      ['src/wire/sample.ts', 62, '12-16, 21-22, 25, 38-42, 45-46', false],
      ['src/conn/never.ts', 0, 'no test loads this file', false],
      ['src/conn/whole.ts', 100, '', true],
    ],
  )
})
