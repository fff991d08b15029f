// The API reference is what its sources say, and says something of all that can be imported.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { assertNoLeaks } from './leaks.ts'
import { root } from './repo.ts'

after(() => assertNoLeaks())

// The script is plain JavaScript, so its types are told here.
const { packagesAreFresh } = (await import(new URL('../scripts/packages.mjs', import.meta.url).href)) as {
  packagesAreFresh(folder: string): boolean
}

const skip = packagesAreFresh('tools/docs') ? false : 'typedoc is not installed: npm run docs:api'

/** Runs a script of this repository to its end: its exit code and all that it printed. */
function run(...args: readonly string[]): { readonly status: number | null; readonly output: string } {
  // Coverage of a compiler is of no use, and takes longer than the rest.
  const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    env,
    timeout: 100_000,
    encoding: 'utf8',
  })
  return { status, output: `${stdout}${stderr}` }
}

const sample = `
/** A box. */
export class Box {
  /** Its size. */
  size = 1
  /** @internal */
  inner = 1
  bare = 1
  get half(): number {
    return this.size / 2
  }
  /** Opens it. See {@link shut}. */
  open(): void {}
  close(): void {}
}
export interface Lid {
  /** How it is fixed. */
  hinge: { pin: string }
}
export const boxes: Box[] = []
export function pack(): void {}
`

describe('the API reference', { skip }, () => {
  test('is up to date, and every export and member is documented', () => {
    const { status, output } = run('scripts/docs-api.mjs', '--check')
    assert.equal(status, 0, output)
  })

  test('names whatever has no TSDoc, and links that lead nowhere', () => {
    // Inside the repository, for the packages; dots keep it out of other checks.
    const folder = mkdtempSync(join(root, '.docs-'))
    try {
      mkdirSync(join(folder, 'src'))
      const exports = { '.': { 'silverback:source': './src/index.ts' }, './package.json': './package.json' }
      writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'sample', type: 'module', exports }))
      const config = { compilerOptions: { strict: true, types: [], target: 'ES2023' }, include: ['src'] }
      writeFileSync(join(folder, 'tsconfig.build.json'), JSON.stringify(config))
      writeFileSync(join(folder, 'src/index.ts'), sample)
      const { status, output } = run('tools/docs/api.mjs', join(folder, 'api'), folder)
      assert.equal(status, 1, output)
      const missing = [...output.matchAll(/(\S+) \(\w+\), defined in \S+, does not have any documentation/g)]
      assert.deepEqual(missing.map(([, name]) => name).sort(), [
        'sample.Box.bare',
        'sample.Box.close',
        'sample.Box.half',
        'sample.Lid',
        'sample.Lid.hinge.__type.pin',
        'sample.boxes',
        'sample.pack',
      ])
      assert.match(output, /"shut"/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
