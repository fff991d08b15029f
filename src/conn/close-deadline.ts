/** While output still leaves, a closing is given this many times its timeout. */
const MOST_ROUNDS = 12

/** Whether a closing connection is given more time: as long as what was sent before goes out, but not for ever. */
export class CloseDeadline {
  #left: number
  #rounds = 0

  /** @param left - bytes that have left when the closing begins */
  constructor(left: number) {
    this.#left = left
  }

  /** The time is over: whether more has left since it was last over. */
  goesOn(left: number): boolean {
    const goesOn = left > this.#left && ++this.#rounds < MOST_ROUNDS
    this.#left = left
    return goesOn
  }
}
