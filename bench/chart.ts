// Charts as SVG, readable on light and on dark pages.

/** One line of a chart. */
export interface Line {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface LineChart {
  readonly title: string
  readonly xTitle: string
  readonly yTitle: string
  readonly lines: readonly Line[]
  /** How a number on the x axis is written. */
  readonly formatX: (x: number) => string
  readonly formatY: (y: number) => string
}

export interface Bar {
  readonly label: string
  readonly value: number
  readonly min: number
  readonly max: number
}

const width = 720
const colors = ['#2f81f7', '#d9822b', '#8b949e', '#3fa34d', '#a371f7', '#d6336c']

const style = `<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
.grid { stroke: #8b949e; stroke-opacity: 0.3 }
.whisker { stroke: #24292f; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) { text { fill: #d0d7de } .whisker { stroke: #d0d7de } }
</style>`

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

type Anchor = 'start' | 'middle' | 'end'

function label(x: number, y: number, text: string, anchor: Anchor = 'start', kind = ''): string {
  const named = kind === '' ? '' : ` class="${kind}"`
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${named}>${escapeXml(text)}</text>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function svg(height: number, title: string, parts: readonly string[]): string {
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title).replaceAll('"', '&quot;')}">`
  return `${[open, style, label(8, 20, title, 'start', 'title'), ...parts, '</svg>'].join('\n')}\n`
}

/** Bars from the left, one below the other; a thin line from the lowest to the highest round. */
export function barChart(title: string, bars: readonly Bar[], format: (value: number) => string): string {
  const [left, right, top, step] = [160, 90, 34, 24]
  const most = Math.max(...bars.map(({ max }) => max))
  const scale = (value: number): number => (value / most) * (width - left - right)
  const parts = bars.flatMap(({ label: name, value, min, max }, at) => {
    const y = top + at * step
    const color = name.startsWith('silverback') ? colors[0] : colors[2]
    return [
      label(left - 8, y + 14, name, 'end'),
      `<rect x="${left}" y="${y + 3}" width="${round(scale(value))}" height="${step - 8}" fill="${color}"/>`,
      `<line x1="${round(left + scale(min))}" x2="${round(left + scale(max))}" y1="${y + 11}" y2="${y + 11}" class="whisker"/>`,
      label(left + scale(Math.max(value, max)) + 6, y + 15, format(value)),
    ]
  })
  return svg(top + bars.length * step + 8, title, parts)
}

/** Powers of ten that hold all values between them. */
function decades(values: readonly number[]): readonly [number, number] {
  const low = Math.floor(Math.log10(Math.min(...values)))
  const high = Math.ceil(Math.log10(Math.max(...values)))
  return [low, Math.max(high, low + 1)]
}

/** Lines over two logarithmic axes. */
export function lineChart({ title, xTitle, yTitle, lines, formatX, formatY }: LineChart): string {
  const [left, right, top, bottom, height] = [80, 120, 56, 54, 392]
  const all = lines.flatMap(({ points }) => points)
  const xs = [...new Set(all.map(([x]) => x))].sort((a, b) => a - b)
  const [low, high] = decades(all.map(([, y]) => y))
  const [first, last] = [Math.log(xs[0] as number), Math.log(xs.at(-1) as number)]
  const toX = (x: number): number =>
    left + ((Math.log(x) - first) / (last - first || 1)) * (width - left - right)
  const toY = (y: number): number =>
    height - bottom - ((Math.log10(y) - low) / (high - low)) * (height - top - bottom)
  const rows = Array.from({ length: high - low + 1 }, (_, at) => 10 ** (low + at))
  const parts = [
    ...rows.flatMap((y) => [
      `<line x1="${left}" x2="${width - right}" y1="${round(toY(y))}" y2="${round(toY(y))}" class="grid"/>`,
      label(left - 8, toY(y) + 4, formatY(y), 'end'),
    ]),
    ...xs.map((x) => label(toX(x), height - bottom + 20, formatX(x), 'middle')),
    label((left + width - right) / 2, height - 12, xTitle, 'middle'),
    label(8, 38, yTitle),
    ...lines.flatMap((line, at) => drawLine(line, colors[at % colors.length] as string, toX, toY)),
    ...legend(lines, toY, width - right + 10),
  ]
  return svg(height, title, parts)
}

function drawLine(
  { points }: Line,
  color: string,
  toX: (x: number) => number,
  toY: (y: number) => number,
): string[] {
  const path = points.map(([x, y]) => `${round(toX(x))},${round(toY(y))}`)
  return [
    `<polyline points="${path.join(' ')}" fill="none" stroke="${color}" stroke-width="2"/>`,
    ...path.map((point) => {
      const [x, y] = point.split(',')
      return `<circle cx="${x}" cy="${y}" r="3" fill="${color}"/>`
    }),
  ]
}

/** The names at the ends of the lines, moved apart where they would overlap. */
function legend(lines: readonly Line[], toY: (y: number) => number, x: number): string[] {
  const ends = lines
    .map(({ name, points }, at) => ({
      name,
      color: colors[at % colors.length],
      y: toY(points.at(-1)?.[1] ?? 1),
    }))
    .sort((a, b) => a.y - b.y)
  let free = 0
  return ends.map(({ name, color, y }) => {
    free = Math.max(y + 4, free + 16)
    return `<circle cx="${x + 4}" cy="${round(free - 4)}" r="4" fill="${color}"/>\n${label(x + 12, free, name)}`
  })
}
