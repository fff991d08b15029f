/** `true` when two types are the same, `false` when one is only assignable to the other. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Compiles when the two types are the same: `same<typeof x, string>(true)`. */
export function same<A, B>(_verdict: Same<A, B>): void {}
