// The rules of the source tree as functions over texts, so that `layers.test.ts` can also feed them fakes.
import { posix } from 'node:path'
import { codeOnly } from './code-only.ts'

/** Sources by path from the repository's folder, with `/`: `src/wire/mask.ts`. */
export type Sources = ReadonlyMap<string, string>

/** One import or re-export of a module. */
export interface Import {
  readonly specifier: string
  /** `import type`, `export type`: gone after compilation. */
  readonly isType: boolean
  /** `import()`: not before somebody wants it. */
  readonly isLate: boolean
}

/** What each folder of src may import from, besides itself. A new folder needs a line here. */
const layers: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  session: ['wire'],
  protocol: ['wire', 'session'],
  conn: ['wire', 'session', 'protocol'],
  server: ['wire', 'session', 'protocol', 'conn'],
  client: ['wire', 'session', 'protocol', 'conn'],
  testing: ['wire', 'session', 'protocol', 'conn', 'server', 'client'],
}

/** Folders without clock, randomness or I/O: what they need of these is passed in. */
const pureFolders: readonly string[] = ['wire', 'protocol', 'hub']

const impureName =
  /(?<![\w$.#])(?:set(?:Timeout|Interval|Immediate)|performance|process|globalThis|randomBytes|Date\.now|new Date|Math\.random)(?![\w$])/g

const timeName = /(?<![\w$.#])(?:(?:set|clear)(?:Timeout|Interval|Immediate)|performance)(?![\w$])/g

/** Built-in modules where they only compute: the one hash of the handshake, and what zlib does synchronously. */
const pureBuiltins: ReadonlyMap<string, readonly string[]> = new Map([
  ['node:crypto', ['src/wire/accept-key.ts']],
  ['node:zlib', ['src/protocol/deflate.ts', 'src/protocol/inflater.ts', 'src/protocol/shared-zlib.ts']],
])

/** Optional peer dependencies, and where they may be loaded: when somebody wants them, by `import()`. */
const optionalPackages: ReadonlyMap<string, string> = new Map([['socks', 'src/client/socks-tunnel.ts']])

function isOptional(path: string, { specifier, isLate }: Import): boolean {
  return isLate && optionalPackages.get(specifier) === path
}

function isPureBuiltin(path: string, specifier: string): boolean {
  return specifier === 'node:buffer' || pureBuiltins.get(specifier)?.includes(path) === true
}

/** The folder below src, or '' for an entry point. */
function folderOf(path: string): string {
  const [, folder, file] = path.split('/')
  return file === undefined ? '' : (folder as string)
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts')
}

const importForms = [
  /\b(?:import|export)\s+(type\s+)?(?:[\w$]+\s*,\s*)?(?:\*(?:\s*as\s+[\w$]+)?|\{[^}]*\}|[\w$]+)\s*from\s*['"]/g,
  /\bimport()\s*\(?\s*['"]/g,
]

/** All static imports and re-exports, and the dynamic ones whose module is a plain string. */
export function importsOf(source: string): Import[] {
  const code = codeOnly(source)
  return importForms.flatMap((form) =>
    [...code.matchAll(form)].map((match) => {
      const start = match.index + match[0].length
      const specifier = source.slice(start, code.indexOf(code[start - 1] as string, start))
      return { specifier, isType: (match[1] ?? '') !== '', isLate: match[0].includes('(') }
    }),
  )
}

/** The imported file as a path from the repository's folder; `undefined` for a package or built-in module. */
function resolveImport(path: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : undefined
}

/** Imports against the one-way order of the layers, imports of entry points, of packages and out of src. */
export function layerBreaches(sources: Sources): string[] {
  const breaches: string[] = []
  for (const [path, source] of sources) {
    if (isTest(path)) continue
    const folder = folderOf(path)
    const allowed = layers[folder]
    if (folder !== '' && allowed === undefined)
      breaches.push(`${path}: src/${folder} is not in the table of layers`)
    for (const imported of importsOf(source)) {
      const { specifier } = imported
      const target = resolveImport(path, specifier)
      if (target === undefined) {
        if (!specifier.startsWith('node:') && !isOptional(path, imported))
          breaches.push(`${path} imports the package '${specifier}'`)
      } else if (!target.startsWith('src/')) {
        breaches.push(`${path} imports ${target}, out of src`)
      } else if (folderOf(target) === '') {
        breaches.push(`${path} imports the entry point ${target}`)
      } else if (
        folder !== '' &&
        folderOf(target) !== folder &&
        allowed?.includes(folderOf(target)) !== true
      ) {
        breaches.push(`${path} imports ${target}: ${folder} must not see ${folderOf(target)}`)
      }
    }
  }
  return breaches
}

/** Timers and clocks that are the global ones, which the fake timers of a test framework replace: connections would stand still. */
export function globalTimers(sources: Sources): string[] {
  const found: string[] = []
  for (const [path, source] of sources) {
    if (isTest(path)) continue
    const imports = [...source.matchAll(/^import \{([^}]*)\} from 'node:(?:timers|perf_hooks)'$/gm)]
    const imported = new Set(imports.flatMap(([, names = '']) => names.split(',').map((name) => name.trim())))
    const names = new Set([...codeOnly(source).matchAll(timeName)].map(([name]) => name))
    for (const name of names) if (!imported.has(name)) found.push(`${path} names the global ${name}`)
  }
  return found
}

/** Clock, randomness, timers and I/O in folders that must do without. */
export function impurities(sources: Sources): string[] {
  const found: string[] = []
  for (const [path, source] of sources) {
    if (isTest(path) || !pureFolders.includes(folderOf(path))) continue
    for (const { 0: name } of codeOnly(source).matchAll(impureName)) found.push(`${path} names ${name}`)
    for (const { specifier, isType } of importsOf(source)) {
      if (specifier.startsWith('node:') && !isType && !isPureBuiltin(path, specifier)) {
        found.push(`${path} imports a value from ${specifier}`)
      }
    }
  }
  return found
}

/** Circles of imports, types included, each as `a -> b -> a`. */
export function importCycles(sources: Sources): string[] {
  const cycles: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    const source = sources.get(path)
    const start = trail.indexOf(path)
    if (start >= 0) cycles.push([...trail.slice(start), path].join(' -> '))
    if (source === undefined || start >= 0 || done.has(path)) return
    for (const { specifier } of importsOf(source)) {
      const target = resolveImport(path, specifier)
      if (target !== undefined) visit(target, [...trail, path])
    }
    done.add(path)
  }
  for (const path of sources.keys()) visit(path, [])
  return cycles
}

/** Whether nothing is left of a source after compilation, so that there is nothing to test. */
export function isTypesOnly(source: string): boolean {
  const value = /^(?:export\s+)?(?:abstract\s+|async\s+)*(?:const|let|var|function|class)\b|^export\s*[{*]/m
  return !value.test(codeOnly(source)) && importsOf(source).every(({ isType }) => isType)
}

/** Sources without their test beside them. Entry points are tested from test/. */
export function missingTests(sources: Sources): string[] {
  return [...sources]
    .filter(([path, source]) => !isTest(path) && folderOf(path) !== '' && !isTypesOnly(source))
    .map(([path]) => path.replace(/\.ts$/, '.test.ts'))
    .filter((test) => !sources.has(test))
}

/** Files that have grown too long to read: above 600 lines, tests above 800. */
export function tooLong(sources: Sources): string[] {
  return [...sources]
    .map(([path, source]) => ({ path, lines: source.split('\n').length - 1, most: isTest(path) ? 800 : 600 }))
    .filter(({ lines, most }) => lines > most)
    .map(({ path, lines, most }) => `${path} has ${lines} lines, ${most} are allowed`)
}
