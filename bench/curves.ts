// How cost grows: the same work with one quantity changed from small to large.
import { type LineChart, lineChart } from './chart.ts'
import { binaryMessage } from './frames.ts'
import { markOf, type Result } from './results.ts'
import { formatNumber, formatSpread } from './stats.ts'
import type { Table } from './tables.ts'
import { maxOpenFiles } from './usage.ts'
import { broadcastTo, echoOf, sizeName, type Workload } from './workloads.ts'

export interface Curve {
  readonly name: string
  readonly title: string
  readonly xTitle: string
  readonly formatX: (x: number) => string
  readonly points: readonly { readonly x: number; readonly workload: Workload }[]
}

export const curveServers: readonly string[] = ['silverback', 'ws', 'ceiling']

const count = (x: number): string => x.toLocaleString('en')
/** As many connections as a process may have, up to 20,000. */
const most = Math.min(20_000, Math.floor((maxOpenFiles() - 200) / 100) * 100)
const message = binaryMessage(125)

function curve(
  name: string,
  title: string,
  xTitle: string,
  xs: readonly number[],
  workloadOf: (x: number, name: string) => Workload,
  formatX: (x: number) => string = count,
): Curve {
  const points = xs.map((x) => ({ x, workload: workloadOf(x, `${name}-${x}`) }))
  return { name, title, xTitle, formatX, points }
}

/** Large messages on fewer connections, so that they fit into memory. */
function sizedEcho(size: number, name: string): Workload {
  const connections = size <= 65_536 ? 64 : size <= 2 ** 20 ? 16 : 4
  return echoOf(binaryMessage(size), connections, 1, name)
}

export const curves: readonly Curve[] = [
  curve(
    'size',
    'Echo, 1 in flight: CPU per message against its size',
    'payload',
    Array.from({ length: 11 }, (_, at) => 16 * 4 ** at),
    sizedEcho,
    (x) => sizeName(x).replace(' ', ' '),
  ),
  curve(
    'connections',
    'Echo of 125 B, 1 in flight on each: CPU per message against connections',
    'connections',
    [1, 10, 100, 1000, 5000, most],
    (x, name) => echoOf(message, x, 1, name),
  ),
  curve(
    'in-flight',
    'Echo of 125 B, 16 connections: CPU per message against messages in flight',
    'messages in flight on each connection',
    Array.from({ length: 9 }, (_, at) => 2 ** at),
    (x, name) => echoOf(message, 16, x, name),
  ),
  curve(
    'audience',
    'Broadcast of 125 B, 1 publisher: CPU per message delivered against audience',
    'connections that hear it',
    [10, 100, 1000, 5000, most],
    (x, name) => broadcastTo(x, 1, name),
  ),
]

export function curveChart({ title, xTitle, formatX, points }: Curve, results: readonly Result[]): string {
  const lines = curveServers.map((server) => ({
    name: server,
    points: points.flatMap(({ x, workload }) => {
      const found = results.find((result) => result.workload === workload.name && result.server === server)
      const cpu = found?.figures.cpuPerMessage?.median
      return cpu === undefined ? [] : [[x, cpu] as const]
    }),
  }))
  const drawn = lines.filter((line) => line.points.length > 0)
  const chart: LineChart = { title, xTitle, yTitle: 'us', lines: drawn, formatX, formatY: formatNumber }
  return lineChart(chart)
}

/** CPU per message, and how late the event loop was, at every point. */
export function curveTable({ xTitle, formatX, points }: Curve, results: readonly Result[]): Table {
  const cells = (workload: string, server: string): string[] => {
    const found = results.find((result) => result.workload === workload && result.server === server)
    const { cpuPerMessage, delayP99, delayMax } = found?.figures ?? {}
    const late = delayP99 && delayMax && `${formatNumber(delayP99.median)}, ${formatNumber(delayMax.median)}`
    const cpu = found && cpuPerMessage && formatSpread(cpuPerMessage) + markOf(found, results)
    return [cpu ?? '', late ?? '']
  }
  const heads = curveServers.flatMap((server) => [`${server} us`, 'late ms'])
  const rows = points.map(({ x, workload }) => [
    formatX(x),
    ...curveServers.flatMap((server) => cells(workload.name, server)),
  ])
  return [[xTitle, ...heads], ...rows]
}
