import { footnote, type Metric, mainMetric, markOf, othersIn, quiet, type Result } from './results.ts'
import { formatNumber, formatSpread } from './stats.ts'
import type { Workload } from './workloads.ts'

/** A table as rows of cells, the first row its heads. */
export type Table = readonly (readonly string[])[]

interface Column {
  readonly head: string
  readonly cell: (result: Result) => string
}

function spread(head: string, metric: Metric): Column {
  return { head, cell: ({ figures }) => (figures[metric] ? formatSpread(figures[metric]) : '') }
}

function middle(head: string, metric: Metric): Column {
  return { head, cell: ({ figures }) => (figures[metric] ? formatNumber(figures[metric].median) : '') }
}

function percent(head: string, metric: Metric): Column {
  return {
    head,
    cell: ({ figures }) => (figures[metric] ? `${Math.round(figures[metric].median * 100)} %` : ''),
  }
}

const against: Column = {
  head: 'against `ws`',
  cell: ({ ratio }) => (ratio === undefined ? '' : `${formatNumber(ratio.median)}x`),
}

const columns = {
  cpuPerMessage: [
    spread('CPU us/message', 'cpuPerMessage'),
    against,
    spread('messages/s', 'messagesPerSecond'),
    middle('p50 us', 'p50'),
    middle('p99 us', 'p99'),
    middle('peak bytes/conn', 'peakBytes'),
    percent('server busy', 'serverBusy'),
    percent('generator busy', 'loadBusy'),
    middle('loop late ms, p99', 'delayP99'),
    middle('at most', 'delayMax'),
  ],
  idleBytes: [
    spread('idle bytes/conn', 'idleBytes'),
    against,
    middle('peak bytes/conn', 'peakBytes'),
    middle('CPU us/connection', 'cpuPerMessage'),
  ],
} satisfies Record<string, readonly Column[]>

/** The results of one workload; columns without any figure are left out. */
export function workloadTable(workload: Pick<Workload, 'name' | 'drive'>, results: readonly Result[]): Table {
  const own = results.filter((result) => result.workload === workload.name && result.skipped === undefined)
  const shown = columns[mainMetric(workload)].filter(({ cell }) => own.some((result) => cell(result) !== ''))
  return [
    ['server', ...shown.map(({ head }) => head)],
    ...own.map((result) => [result.server + markOf(result, own), ...shown.map(({ cell }) => cell(result))]),
  ]
}

/** Why these figures are not to be trusted, or `undefined`. */
export function disturbance(results: readonly Result[]): string | undefined {
  const measured = results.filter(({ rounds }) => rounds > 0)
  if (measured.some(({ figures }) => figures.others === undefined))
    return 'The servers had no core of their own.'
  const most = Math.max(0, ...measured.map(othersIn))
  if (most < quiet) return undefined
  return `The machine was not quiet: others had the servers' core for up to ${Math.round(most * 100)} % of the time.`
}

/** For a terminal: the first column to the left, figures to the right. */
export function plainTable(table: Table): string {
  const plain = table.map((row) => row.map((cell) => cell.replaceAll('`', '')))
  const widths = (plain[0] ?? []).map((_, at) => Math.max(...plain.map((row) => row[at]?.length ?? 0)))
  const pad = (cell: string, at: number): string =>
    at === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[at] as number)
  return plain.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}

/** The explanation of stars, where a table has any. */
export function footnotes(table: Table): string[] {
  return table.some((row) => row.some((cell) => cell.endsWith('*'))) ? [footnote] : []
}

export function markdownTable([heads = [], ...rows]: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = `|${heads.map((_, at) => (at === 0 ? '---' : '--:')).join('|')}|`
  return [line(heads), rule, ...rows.map(line)].join('\n')
}
