// The tests that documents name, as functions over texts, so that `proofs.test.ts` can also feed them fakes.

/** A test that a document names: `src/conn/conn.test.ts` "is lost when the peer resets it". */
export interface Proof {
  /** Where it is named: `docs/closing.md:12`. */
  readonly where: string
  /** The file of the test, from the repository's folder. */
  readonly file: string
  /** The title of a test or a group; `undefined` where only the file is named. */
  readonly title: string | undefined
}

/** The tests that a markdown text names: a file in backticks, and titles in double quotes behind it. */
export function proofs(path: string, markdown: string): Proof[] {
  const found: Proof[] = []
  for (const match of markdown.matchAll(/`([\w./-]+\.test\.ts)`((?:,?\s+"[^"]+")*)/g)) {
    const [, file = '', rest = ''] = match
    const where = `${path}:${markdown.slice(0, match.index).split('\n').length}`
    const titles = [...rest.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title.replace(/\s+/g, ' '))
    for (const title of titles.length > 0 ? titles : [undefined]) found.push({ where, file, title })
  }
  return found
}

/** The titles of the tests and groups of a source: as patterns, since a template may hold anything. */
export function titlesOf(source: string): RegExp[] {
  const calls =
    /(?<![\w.])(?:test|it|describe)(?:\.\w+)?\(\s*(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g
  return [...source.matchAll(calls)].map(([, single, double, template]) => {
    const text = (single ?? double ?? template ?? '').replace(/\\(.)/g, '$1')
    const parts = template === undefined ? [text] : text.split(/\$\{[^}]*\}/)
    return new RegExp(`^${parts.map((part) => part.replace(/[^\w\s]/g, '\\$&')).join('.+')}$`)
  })
}
