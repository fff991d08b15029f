import { randomFillSync } from 'node:crypto'

const POOL_WORDS = 2048

const pool = new Int32Array(POOL_WORDS)
let used = POOL_WORDS

/** An unpredictable masking key (RFC 6455 section 10.3), from the system's CSPRNG by the pool: no key serves twice. */
export function randomMask(): number {
  if (used === POOL_WORDS) {
    randomFillSync(pool)
    used = 0
  }
  return pool[used++] as number
}
