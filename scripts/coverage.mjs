// Line coverage of the TypeScript sources, from what NODE_V8_COVERAGE left behind.
//
// tsx hands V8 every module as one long line with an inline source map. c8 maps ranges line by line and is wrong there
// by dozens of lines, so the map is applied here, position by position: a source line counts when the compiled code
// has something that begins on it (types and comments have nothing), and is covered when V8 saw any of it run.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const digits = new Map([...base64].map((character, value) => [character, value]))

/** The numbers of one segment of a source map: base64 digits of 5 bits, lowest first, the sign in the lowest bit. */
function decodeSegment(segment) {
  const numbers = []
  let value = 0
  let shift = 0
  for (const character of segment) {
    const digit = digits.get(character)
    value |= (digit & 31) << shift
    shift += 5
    if ((digit & 32) !== 0) continue
    numbers.push((value & 1) === 0 ? value >> 1 : -(value >> 1))
    value = 0
    shift = 0
  }
  return numbers
}

/** Where code that belongs to a source line begins in the compiled text: `[offset, line]`, lines from 1. */
export function mappedPositions(mappings, lineLengths) {
  const positions = []
  let line = 1
  let character = 0
  let start = 0
  for (const [index, generated] of mappings.split(';').entries()) {
    let column = 0
    for (const segment of generated === '' ? [] : generated.split(',')) {
      const [columns, , lines = 0, characters] = decodeSegment(segment)
      column += columns
      if (characters === undefined) continue
      line += lines
      character += characters
      // The file's very first character also stands for what the compiler adds of its own, anywhere.
      if (line > 1 || character > 0) positions.push([start + column, line])
    }
    start += (lineLengths[index] ?? 0) + 1
  }
  return positions
}

/** How often each character of a compiled text ran: of nested ranges, the innermost tells. */
function countsOf(functions, length) {
  const counts = new Float64Array(length).fill(1)
  const ranges = functions.flatMap((entry) => entry.ranges)
  ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset)
  for (const { startOffset, endOffset, count } of ranges) counts.fill(count, startOffset, endOffset)
  return counts
}

/**
 * @param {string} folder of NODE_V8_COVERAGE
 * @param {(path: string) => boolean} wanted
 * @returns {Map<string, Map<number, boolean>>} by path: whether each line that has code ran in any process
 */
export function readCoverage(folder, wanted) {
  const files = new Map()
  const positions = new Map()
  for (const name of readdirSync(folder)) {
    const { result, 'source-map-cache': maps = {} } = JSON.parse(readFileSync(join(folder, name), 'utf8'))
    for (const { url, functions } of result) {
      if (!url.startsWith('file:')) continue
      const path = fileURLToPath(new URL(url.replace(/[?#].*$/, '')))
      const map = maps[url]
      if (!wanted(path) || map === undefined) continue
      const { mappings } = map.data
      if (!positions.has(mappings)) positions.set(mappings, mappedPositions(mappings, map.lineLengths))
      const counts = countsOf(
        functions,
        map.lineLengths.reduce((sum, length) => sum + length + 1, 0),
      )
      const lines = files.get(path) ?? new Map()
      files.set(path, lines)
      for (const [offset, line] of positions.get(mappings)) {
        lines.set(line, lines.get(line) === true || (counts[offset] ?? 0) > 0)
      }
    }
  }
  return files
}

/** Whether a source compiles to nothing: the build leaves only the mark of a module. */
function isTypesOnly(path, root) {
  const built = path.replace(join(root, 'src'), join(root, 'dist')).replace(/\.ts$/, '.js')
  return existsSync(built) && /^(export \{\};|\/\/.*|\s)*$/.test(readFileSync(built, 'utf8'))
}

/** `3, 7-9` for the uncovered of some lines; lines without code do not interrupt a range. */
function uncoveredRanges(lines) {
  const ranges = []
  let open = false
  for (const [line, covered] of [...lines].sort(([a], [b]) => a - b)) {
    if (!covered && open) ranges[ranges.length - 1][1] = line
    if (!covered && !open) ranges.push([line, line])
    open = !covered
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ')
}

/**
 * One row for each source file that has code of its own. A source that no test loaded has 0 %.
 *
 * @param {string} root
 * @param {string} folder of NODE_V8_COVERAGE
 * @param {readonly string[]} sources paths relative to `root`, with `/`
 */
export function coverageRows(root, folder, sources) {
  const paths = new Set(sources.map((source) => join(root, source)))
  const files = readCoverage(folder, (path) => paths.has(path))
  const rows = []
  for (const source of sources) {
    const path = join(root, source)
    const lines = files.get(path)
    if (lines === undefined && isTypesOnly(path, root)) continue
    const states = [...(lines?.values() ?? [false])]
    const percent = states.length === 0 ? 100 : (100 * states.filter(Boolean).length) / states.length
    const gate = /^src\/(wire|protocol)\//.test(source) ? 100 : 95
    const missing = lines === undefined ? 'no test loads this file' : uncoveredRanges(lines)
    rows.push({ source, percent, gate, missing, ok: percent >= gate })
  }
  return rows
}

/** The rows as a text table. */
export function table(rows) {
  const width = Math.max(...rows.map(({ source }) => source.length), 'file'.length)
  const head = `  ${'file'.padEnd(width)}   lines   gate  not covered`
  const body = rows.map(({ source, percent, gate, missing }) => {
    // Rounded down: 99.96 % of the lines is not all of them.
    const shown = (Math.floor(percent * 10) / 10).toFixed(1)
    return `  ${source.padEnd(width)}  ${shown.padStart(5)} %  ${String(gate).padStart(3)} %  ${missing}`
  })
  return [head, ...body].join('\n')
}
