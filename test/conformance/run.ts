// Plays cases in all their ways.

import { setImmediate } from 'node:timers/promises'
import type { Case, Role } from './case.ts'
import { playOnEngine } from './engine-way.ts'
import { SocketStage } from './socket-way.ts'
import { type Chopping, roughSize, type Transport, type Way, waysOf } from './way.ts'

/** What became of a case in one way. */
export interface Outcome extends Way {
  readonly id: string
  /** `undefined`: as it should be. */
  readonly problem: string | undefined
}

/** Which ways are played, and how many at once over sockets. */
export interface RunOptions {
  readonly wants?: (subject: Case, way: Way) => boolean
  readonly onOutcome?: (outcome: Outcome) => void
}

/** Over sockets so many cases are played at once, as long as they are small: large ones take all there is. */
const AT_ONCE = 8
const SMALL = 128 * 1024

/** Plays all cases, and returns what became of each in each way. */
export async function runCases(cases: readonly Case[], options: RunOptions = {}): Promise<Outcome[]> {
  const { wants = () => true, onOutcome = () => {} } = options
  const outcomes: Outcome[] = []
  const note = (outcome: Outcome): void => {
    outcomes.push(outcome)
    onOutcome(outcome)
  }
  await using stage = new SocketStage()
  const play = async (subject: Case, way: Way): Promise<void> => {
    note({ id: subject.id, ...way, problem: await playOne(stage, subject, way) })
  }
  let running: Promise<void>[] = []
  for (const subject of cases) {
    const atOnce = roughSize(subject) > SMALL ? 1 : AT_ONCE
    for (const way of waysOf(subject)) {
      if (!wants(subject, way)) continue
      if (way.transport === 'engine') {
        await play(subject, way)
        // So that cases over sockets, whose patience runs, go on meanwhile.
        await setImmediate()
      } else {
        running.push(play(subject, way))
      }
      if (running.length < atOnce) continue
      await Promise.all(running)
      running = []
    }
  }
  await Promise.all(running)
  return outcomes
}

async function playOne(
  stage: SocketStage,
  subject: Case,
  { role, transport, chopping }: { role: Role; transport: Transport; chopping: Chopping },
): Promise<string | undefined> {
  if (transport === 'sockets') return stage.play(subject, role, chopping)
  try {
    return playOnEngine(subject, role, chopping)
  } catch (error) {
    return `it threw ${error instanceof Error ? error.stack : String(error)}`
  }
}
