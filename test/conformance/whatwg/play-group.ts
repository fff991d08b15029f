// Plays a group of cases of the class; what is secure in a process of its own, since what a process trusts is settled
// when it starts.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { root } from '../../repo.ts'
import { fixture, playWebCase, type WebGroup } from './web-case.ts'

/** What became of a case of the class. */
export interface WebOutcome {
  readonly id: string
  /** `undefined`: as it should be. */
  readonly problem: string | undefined
}

/** Plays its cases one by one. */
export async function playWebGroup({ cases, secure }: WebGroup): Promise<WebOutcome[]> {
  if (secure) return playSecurely(cases.map(({ id }) => id))
  const outcomes: WebOutcome[] = []
  for (const subject of cases) outcomes.push({ id: subject.id, problem: await playWebCase(subject) })
  return outcomes
}

const program = 'test/conformance/whatwg/secure-process.ts'

async function playSecurely(ids: readonly string[]): Promise<WebOutcome[]> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--conditions=silverback:source', '--import=tsx', program, ...ids],
    {
      cwd: root,
      env: { ...process.env, NODE_EXTRA_CA_CERTS: fixture('localhost.crt') },
      maxBuffer: 64 * 1024 * 1024,
    },
  )
  const told = new Map(JSON.parse(stdout) as readonly (readonly [id: string, problem: string | null])[])
  return ids.map((id) => ({ id, problem: told.has(id) ? (told.get(id) ?? undefined) : 'it was not played' }))
}
