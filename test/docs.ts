// What is read out of the documentation, as functions over texts, so that `docs.test.ts` can also feed them fakes.

/** A fenced block of TypeScript. */
export interface CodeBlock {
  /** Where it stands: `README.md:12`, the line of its first line of code. */
  readonly where: string
  /** Whether the fence says `ts run`. */
  readonly run: boolean
  readonly code: string
}

/** The ```ts blocks of a markdown text whose first line is line `first` of `path`. */
export function codeBlocks(path: string, markdown: string, first = 1): CodeBlock[] {
  const blocks: CodeBlock[] = []
  let fence: { close: string; language: string; where: string; lines: string[] } | undefined
  for (const [index, line] of markdown.split('\n').entries()) {
    const opening = /^\s*(`{3,}|~{3,})\s*(.*?)\s*$/.exec(line)
    if (fence === undefined) {
      if (opening === null) continue
      const [, close = '', language = ''] = opening
      fence = { close, language, where: `${path}:${first + index + 1}`, lines: [] }
    } else if (opening?.[1] === fence.close && opening[2] === '') {
      const { language, where, lines } = fence
      const [name, mark] = language.split(/\s+/)
      if (name === 'ts') blocks.push({ where, run: mark === 'run', code: `${lines.join('\n')}\n` })
      fence = undefined
    } else {
      fence.lines.push(line)
    }
  }
  if (fence !== undefined) throw new Error(`${fence.where}: the code block is not closed`)
  return blocks
}

/** The ```ts blocks in the TSDoc comments of a TypeScript source. */
export function exampleBlocks(path: string, source: string): CodeBlock[] {
  return [...source.matchAll(/^[ \t]*\/\*\*[\s\S]*?\*\//gm)].flatMap((comment) => {
    const first = source.slice(0, comment.index).split('\n').length
    const text = comment[0].split('\n').map((line) => line.replace(/^\s*(?:\/\*\*|\*\/|\*) ?/, ''))
    return codeBlocks(path, text.join('\n'), first)
  })
}

/** A markdown text without its code: what is in fences and in backticks is no link and no heading. */
function proseOf(markdown: string): string {
  return markdown
    .replace(/^\s*(`{3,}|~{3,})[\s\S]*?^\s*\1\s*$/gm, '')
    .replace(/(`+)(?!`)[^\n]*?[^`]\1(?!`)/g, 'code')
}

/** The anchors that a markdown text offers, made from its headings the way GitHub makes them. */
export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>()
  const withoutBlocks = markdown.replace(/^\s*(`{3,}|~{3,})[\s\S]*?^\s*\1\s*$/gm, '')
  for (const [, heading = ''] of withoutBlocks.matchAll(/^#{1,6}\s+(.*?)\s*#*$/gm)) {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const slug = text.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-')
    let unique = slug
    for (let count = 1; anchors.has(unique); count++) unique = `${slug}-${count}`
    anchors.add(unique)
  }
  for (const [, id = ''] of withoutBlocks.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(id)
  return anchors
}

/** The links of a markdown text that stay inside the repository, images included. */
export function internalLinks(markdown: string): string[] {
  const prose = proseOf(markdown)
  const inline = [...prose.matchAll(/\]\(\s*<?([^\s)>]+)>?(?:\s+"[^"]*")?\s*\)/g)]
  const references = [...prose.matchAll(/^\s{0,3}\[[^\]]+\]:\s*<?([^\s>]+)/gm)]
  return [...inline, ...references]
    .map(([, link = '']) => link)
    .filter((link) => !/^[a-z][a-z0-9+.-]*:/i.test(link))
}

/**
 * The rows of tables whose first cell is an error code, with the class in their second cell or, where a table holds
 * one class, in the heading above.
 */
export function errorRows(markdown: string): { readonly code: string; readonly kind: string }[] {
  let heading = ''
  return markdown.split('\n').flatMap((line) => {
    if (/^#+\s/.test(line)) heading = /\w+Error\b/.exec(line)?.[0] ?? ''
    const [, code, second = ''] = /^\|\s*`(ERR_WS_\w+)`\s*\|([^|]*)\|/.exec(line) ?? []
    if (code === undefined) return []
    return [{ code, kind: /^\s*`?(\w+Error)`?\s*$/.exec(second)?.[1] ?? heading }]
  })
}
