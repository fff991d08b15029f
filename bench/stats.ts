export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

/** The middle of all rounds, and their ends. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** A number with three digits that count. */
export function formatNumber(value: number): string {
  if (value === 0) return '0'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value
    .toPrecision(3)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '')
}

/** `12.3 ±4 %`: the median, and how far the rounds lie from it at most. */
export function formatSpread({ median: middle, min, max }: Spread): string {
  const off = middle === 0 ? 0 : Math.max(max - middle, middle - min) / middle
  return `${formatNumber(middle)} ±${Math.round(off * 100)} %`
}
