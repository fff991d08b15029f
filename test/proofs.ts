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

/** Whether a source has a test, or a group of tests, of this title; what a template leaves open must stand in the source. */
export function hasTest(source: string, title: string): boolean {
  const calls =
    /(?<![\w.])(?:test|it|describe)(?:\.\w+)?\(\s*(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g
  return [...source.matchAll(calls)].some(([, single, double, template]) => {
    const text = (single ?? double ?? template ?? '').replace(/\\(.)/g, '$1')
    if (template === undefined) return text === title
    const parts = text.split(/\$\{[^}]*\}/).map((part) => part.replace(/[^\w\s]/g, '\\$&'))
    const filled = new RegExp(`^${parts.join('(.+)')}$`).exec(title)
    return (
      filled
        ?.slice(1)
        .every((part) => new RegExp(`['"\`]${part.replace(/[^\w\s]/g, '\\$&')}['"\`]`).test(source)) === true
    )
  })
}
