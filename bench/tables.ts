import type { Sample } from './load.ts'
import { figure, type Result } from './rounds.ts'
import { formatNumber, formatSpread, type Spread } from './stats.ts'
import type { Workload } from './workloads.ts'

/** A table as rows of cells, the first row its heads. */
export type Table = readonly (readonly string[])[]

interface Column {
  readonly head: string
  readonly cell: (result: Result, base: Result | undefined) => string
}

const cpu = (sample: Sample): number => sample.cpuPerMessage
const idle = (sample: Sample): number | undefined => sample.idleBytes

function spread(head: string, pick: (sample: Sample) => number | undefined): Column {
  return { head, cell: (result) => show(figure(result, pick), formatSpread) }
}

function middle(head: string, pick: (sample: Sample) => number | undefined, unit = ''): Column {
  return { head, cell: (result) => show(figure(result, pick), (value) => formatNumber(value.median) + unit) }
}

function show(value: Spread | undefined, format: (value: Spread) => string): string {
  return value === undefined ? '' : format(value)
}

/** How many times better than `ws` a server is: 2x is half of what `ws` takes. */
export function ratio(
  result: Result,
  base: Result | undefined,
  pick: (sample: Sample) => number | undefined,
): number | undefined {
  const [own, other] = [figure(result, pick), base && figure(base, pick)]
  return own === undefined || other === undefined ? undefined : other.median / own.median
}

function against(pick: (sample: Sample) => number | undefined): Column {
  return {
    head: 'against ws',
    cell: (result, base) => {
      const times = ratio(result, base, pick)
      return times === undefined ? '' : `${formatNumber(times)}x`
    },
  }
}

const busy: readonly Column[] = [
  middle('server busy', (sample) => sample.serverBusy * 100, ' %'),
  middle('generator busy', (sample) => sample.loadBusy * 100, ' %'),
]

const columns: readonly Column[] = [
  spread('CPU us/message', cpu),
  against(cpu),
  spread('messages/s', (sample) => sample.messagesPerSecond),
  middle('p50 us', (sample) => sample.p50),
  middle('p99 us', (sample) => sample.p99),
  middle('peak bytes/conn', (sample) => sample.peakBytes),
  ...busy,
]

const idleColumns: readonly Column[] = [
  spread('idle bytes/conn', idle),
  against(idle),
  middle('peak bytes/conn', (sample) => sample.peakBytes),
  middle('CPU us/connect', cpu),
]

/** The results of one workload; columns without any figure are left out. */
export function workloadTable(workload: Workload, results: readonly Result[]): Table {
  const own = results.filter((result) => result.workload === workload.name)
  const base = own.find(({ server }) => server === 'ws')
  const shown = (workload.drive === 'idle' ? idleColumns : columns).filter(({ cell }) =>
    own.some((result) => cell(result, base) !== ''),
  )
  return [
    ['server', ...shown.map(({ head }) => head)],
    ...own
      .filter(({ samples }) => samples.length > 0)
      .map((result) => [result.server, ...shown.map(({ cell }) => cell(result, base))]),
  ]
}

/** For a terminal: the first column to the left, figures to the right. */
export function plainTable(table: Table): string {
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? []
  return table
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export function markdownTable(table: Table): string {
  const [heads = [], ...rows] = table
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    line(heads),
    `|${heads.map((_, at) => (at === 0 ? '---' : '--:')).join('|')}|`,
    ...rows.map(line),
  ].join('\n')
}
