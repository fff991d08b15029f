// Lines over time as an SVG of a few kilobytes, for light and dark pages.

/** One line. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** A chart with one scale. */
export interface Chart {
  readonly title: string
  /** What stands at the vertical axis, such as `MiB`. */
  readonly unit: string
  readonly series: readonly Series[]
}

const width = 720
const height = 300
const left = 56
const right = 16
const top = 58
const bottom = 40

const style = `text{font:12px system-ui,sans-serif;fill:#57606a}.title{font-size:15px;font-weight:600;fill:#1f2328}
.back{fill:#fff}.grid{stroke:#d0d7de;stroke-width:1}.line{fill:none;stroke-width:2;stroke-linejoin:round}
.s0{stroke:#0969da}.s1{stroke:#bc4c00}.s2{stroke:#1a7f37}.s3{stroke:#8250df}
@media(prefers-color-scheme:dark){text{fill:#9198a1}.title{fill:#f0f6fc}.back{fill:#0d1117}.grid{stroke:#3d444d}
.s0{stroke:#58a6ff}.s1{stroke:#f0883e}.s2{stroke:#3fb950}.s3{stroke:#bc8cff}}`

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`)
}

/** A round step of which some four make up the range. */
export function stepFor(range: number): number {
  const rough = Math.max(range, 1e-9) / 4
  const magnitude = 10 ** Math.floor(Math.log10(rough))
  const factor = [1, 2, 5, 10].find((candidate) => candidate * magnitude >= rough) ?? 10
  return factor * magnitude
}

function label(value: number): string {
  return String(Number(value.toPrecision(6)))
}

/** Draws the chart. The horizontal axis is minutes; the vertical one begins at 0. */
export function drawChart({ title, unit, series }: Chart): string {
  const all = series.flatMap(({ points }) => points)
  const mostX = Math.max(1e-3, ...all.map(([x]) => x))
  const stepY = stepFor(Math.max(1e-3, ...all.map(([, y]) => y)))
  const mostY = Math.ceil(Math.max(1e-3, ...all.map(([, y]) => y)) / stepY) * stepY
  const stepX = stepFor(mostX)
  const toX = (x: number): string => (left + (x / mostX) * (width - left - right)).toFixed(1)
  const toY = (y: number): string => (height - bottom - (y / mostY) * (height - top - bottom)).toFixed(1)
  const parts: string[] = []
  for (let y = 0; y <= mostY + stepY / 2; y += stepY) {
    parts.push(`<path class="grid" d="M${left} ${toY(y)}H${width - right}"/>`)
    parts.push(`<text x="${left - 8}" y="${Number(toY(y)) + 4}" text-anchor="end">${label(y)}</text>`)
  }
  for (let x = 0; x <= mostX * 1.001; x += stepX)
    parts.push(`<text x="${toX(x)}" y="${height - bottom + 18}" text-anchor="middle">${label(x)}</text>`)
  parts.push(`<text x="${width - right}" y="${height - 6}" text-anchor="end">minutes</text>`)
  parts.push(`<text x="${left - 8}" y="${top - 12}" text-anchor="end">${escaped(unit)}</text>`)
  let keyX = left
  for (const [index, { name, points }] of series.entries()) {
    const color = `s${index % 4}`
    const path = points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${toX(x)} ${toY(y)}`).join('')
    parts.push(`<path class="line ${color}" d="${path}"/>`)
    parts.push(`<path class="line ${color}" d="M${keyX} 38h18"/>`)
    parts.push(`<text x="${keyX + 24}" y="42">${escaped(name)}</text>`)
    keyX += 44 + name.length * 7
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">
<style>${style}</style>
<rect class="back" width="${width}" height="${height}" rx="6"/>
<text class="title" x="${left}" y="22">${escaped(title)}</text>
${parts.join('\n')}
</svg>
`
}
