// Servers that do not do what they are measured for get no figures.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { binaryMessage } from '../bench/frames.ts'
import type { Timing } from '../bench/load.ts'
import { measure } from '../bench/measure.ts'
import type { Contestant } from '../bench/servers.ts'
import { canMeasure } from '../bench/usage.ts'
import { echoOf, type Workload } from '../bench/workloads.ts'

const message = binaryMessage(60)
const timing: Timing = { warm: 20, measure: 40 }
/** Long enough for a machine with other work, where it is not the deadline itself that is tested. */
const [short, long] = [600, 4200]
const echo = (inFlight: number): Workload => echoOf(message, 4, inFlight)
const connect: Workload = { ...echo(1), drive: 'connect' }
const idle: Workload = { ...echo(1), drive: 'idle' }
const broadcast = (publishers: number): Workload => ({
  ...echo(1),
  drive: 'broadcast',
  kind: 'broadcast',
  publishers,
})

function liar(way: string): Contestant {
  const script = fileURLToPath(new URL('fixtures/bench-liar.mjs', import.meta.url))
  const command = (settings: string) => ({ args: [process.execPath, script, way, settings] })
  return { name: way, title: way, can: () => true, command }
}

const onLinux = { skip: canMeasure ? false : 'CPU and memory are read from /proc', timeout: 60_000 }

describe('a server is left out', onLinux, () => {
  const cases: readonly (readonly [string, string, Workload, RegExp])[] = [
    ['that replies twice', 'twice', echo(1), /replies too many/],
    ['that replies twice to several messages in flight', 'twice', echo(16), /replies too many/],
    ['that replies twice to new connections', 'twice', connect, /replies too many/],
    ['that replies twice to connections that will be idle', 'twice', idle, /replies too many/],
    ['that loses a message', 'lost', echo(1), /1 messages have not come/],
    ['that loses a message among many in flight', 'lost', echo(16), /1 messages have not come/],
    ['that loses a message of an idle connection', 'lost', idle, /1 messages have not come/],
    ['that loses what is published', 'lost', broadcast(4), /messages have not come/],
    ['that sends all copies to one', 'one', broadcast(1), /replies too many/],
    ['that sends all copies of all publishers to one', 'one', broadcast(4), /replies too many/],
    ['that never replies', 'silent', echo(1), /nothing came back/],
    ['that never replies to what comes before idleness', 'silent', idle, /have not come/],
    ['that never replies to a new connection', 'silent', connect, /nothing came back/],
    ['that never answers the handshake', 'mute', echo(1), /not through after/],
    ['that closes without a Close frame', 'rude', connect, /without a Close frame/],
  ]
  for (const [what, way, workload, why] of cases)
    test(what, () => {
      const patience = why.source.includes('through') ? short : long
      return assert.rejects(measure(liar(way), workload, { ...timing, patience }, undefined), why)
    })
})

test('the same server has figures when it does as it should', onLinux, async () => {
  for (const workload of [echo(1), echo(16), connect, idle, broadcast(1), broadcast(4)])
    assert.ok((await measure(liar('honest'), workload, timing, undefined)).messagesPerSecond > 0)
})
