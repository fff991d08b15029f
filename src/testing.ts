/**
 * For tests of programs that use connections: a pair of them in memory, and time that passes when told to.
 *
 * @module
 */

export { FakeClock } from './testing/fake-clock.ts'
export {
  type Pair,
  type PairClient,
  type PairOptions,
  type PairServer,
  type PairSide,
  pair,
} from './testing/pair.ts'
