// What the runs of a matrix came to, as functions over texts: JUnit reports, and the page that lists what is known.

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decode(text) {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (all, decimal, hex, name) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal))
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    return entities[name] ?? all
  })
}

function attribute(tag, name) {
  return decode(new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? '')
}

/**
 * The tests of a JUnit report of Node, Bun or Deno. Groups are no tests; Deno names a test in a group `group > test`
 * and counts a group with a failure as failed.
 */
export function readJunit(xml) {
  const cases = []
  for (const match of xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const [, head = '', body = ''] = match
    const failure = /<(?:failure|error)\b[^>]*>/.exec(body)
    const message =
      failure === null ? undefined : attribute(failure[0], 'message').trim().split('\n')[0].slice(0, 200)
    cases.push({ name: attribute(head, 'name'), message, skipped: /<skipped\b/.test(body) })
  }
  const groups = new Set(
    cases.flatMap(({ name }) => {
      const parts = name.split(' > ')
      return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join(' > '))
    }),
  )
  const tests = cases.filter(
    ({ name, message }) => !groups.has(name) || (message !== undefined && !hasCause(cases, name)),
  )
  return {
    tests: tests.length,
    skipped: tests.filter(({ skipped }) => skipped).length,
    failed: tests
      .filter(({ message }) => message !== undefined)
      .map(({ name, message }) => ({ title: name.split(' > ').at(-1), message })),
  }
}

/**
 * What one test file came to: what its report says, and, with an empty title, what no test in it can be told to have.
 *
 * @param {{ ok: boolean, why: string, late: boolean }} end - how its process ended
 * @param {string | undefined} xml - its report, when there is one
 */
export function judgeRun({ ok, why, late }, xml) {
  const result = xml === undefined ? { tests: 0, skipped: 0, failed: [] } : readJunit(xml)
  // A file that cannot be loaded, or leaves something running, has no test that failed; one that hangs may have some.
  let whole
  if (late || (!ok && result.failed.length === 0)) whole = why
  else if (ok && result.tests === 0) whole = xml === undefined ? 'gave no report' : 'has no tests'
  const asWhole = whole === undefined ? [] : [{ title: '', message: whole }]
  return { ...result, failed: [...result.failed, ...asWhole] }
}

/** Whether a group failed because of a test in it, and not by itself. */
function hasCause(cases, group) {
  return cases.some(({ name, message }) => message !== undefined && name.startsWith(`${group} > `))
}

/** The rows of the page's table: `| Bun, Deno | \`src/x.test.ts\` "title", "title" | reason |`. Without a title, the file. */
export function knownFailures(markdown) {
  const rows = []
  for (const line of markdown.split('\n')) {
    const match = /^\| ([^|]+) \| `([\w./-]+\.test\.ts)`((?:,?\s+"[^"]+")*) \| (.+) \|$/.exec(line)
    if (match === null) continue
    const [, runtimes, file, rest, reason] = match
    const titles = [...rest.matchAll(/"([^"]+)"/g)].map(([, title]) => title)
    for (const title of titles.length > 0 ? titles : ['']) {
      rows.push({ runtimes: runtimes.split(', '), file, title, reason })
    }
  }
  return rows
}

/** What of these failures is not listed, and what is listed and has not failed. */
export function compare(failed, listed) {
  const wholeFile = listed.some(({ title }) => title === '')
  const unexpected = wholeFile
    ? []
    : failed.filter((failure) => !listed.some(({ title }) => title === failure.title))
  const passing = listed.filter(
    ({ title, reason }) =>
      !reason.startsWith('Now and then: ') &&
      (title === '' ? failed.length === 0 : !failed.some((failure) => failure.title === title)),
  )
  return { unexpected, passing }
}

/** The table of results. */
export function resultsTable(results) {
  const rows = results.map((result) =>
    result.missing
      ? `| ${result.name} | not installed | | | | |`
      : `| ${result.name} | ${result.version} | ${result.files} | ${result.tests} | ${result.known} | ${result.skipped} |${result.problems > 0 ? ` ${result.problems} PROBLEMS` : ''}`,
  )
  return [
    '| runtime | version | test files | tests | fail, as listed | skipped |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}

const begin = '<!-- results: npm run test:matrix -- --write -->'
const end = '<!-- end of results -->'

/** The page with these results in its table; the rows of other runtimes stay. */
export function withResults(markdown, results) {
  const [from, to] = [markdown.indexOf(begin), markdown.indexOf(end)]
  if (from < 0 || to < from) throw new Error('docs/runtimes.md has no place for the results')
  const [heading, line, ...rows] = resultsTable(results).split('\n')
  const name = (row) => row.split('|')[1].trim()
  const old = markdown
    .slice(from + begin.length, to)
    .split('\n')
    .filter(
      (row) => /^\| \S+( \d+)? \| [\d.]+ /.test(row) && !rows.some((other) => name(other) === name(row)),
    )
  // `Node 20` to `Node 26`, and then those whose names begin earlier in the alphabet.
  const all = [...old, ...rows].sort((a, b) => {
    const [node, other] = [a, b].map((row) => name(row).startsWith('Node'))
    return node === other ? name(a).localeCompare(name(b)) : node ? -1 : 1
  })
  return `${markdown.slice(0, from + begin.length)}\n${[heading, line, ...all].join('\n')}\n${markdown.slice(to)}`
}
