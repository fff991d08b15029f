import {
  ensurePrototype,
  expose,
  illegalInvocation,
  isObject,
  requireArguments,
  toDictionary,
  toDomString,
  toUnsignedShort,
  toUsvString,
} from './web-idl.ts'

/** What a {@link CloseEvent} is made of. */
export interface CloseEventInit {
  /** As of every event. Default false. */
  bubbles?: boolean
  /** As of every event. Default false. */
  cancelable?: boolean
  /** As of every event. Default false. */
  composed?: boolean
  /** Whether both Close frames were exchanged. Default false. */
  wasClean?: boolean
  /** Default 0. */
  code?: number
  /** Default empty. */
  reason?: string
}

/** How a {@link WebSocket} ended, as its `close` event tells (WebSockets Standard section 6). */
export interface CloseEvent extends Event {
  /** Whether both Close frames were exchanged. */
  readonly wasClean: boolean
  /** The code of the peer's Close frame; 1005 when that had none, 1006 when there was no such frame. */
  readonly code: number
  /** The reason in the peer's Close frame. */
  readonly reason: string
}

/** The class of {@link CloseEvent}, which Node 20 does not have. */
export interface CloseEventConstructor {
  /** What its objects share. */
  readonly prototype: CloseEvent
  /** Makes an event to be dispatched. */
  new (type: string, eventInitDict?: CloseEventInit): CloseEvent
}

/**
 * The class of the event that a {@link WebSocket} ends with, for Node 20, which has none.
 *
 * @example
 * ```ts
 * import { CloseEvent } from 'silverback/websocket'
 * const event = new CloseEvent('close', { code: 1000, reason: 'done', wasClean: true })
 * console.log(event.code, event.reason, event.wasClean) // 1000 done true
 * ```
 */
export const CloseEvent: CloseEventConstructor = class CloseEvent extends Event {
  readonly #wasClean: boolean
  readonly #code: number
  readonly #reason: string

  constructor(type: string, eventInitDict: CloseEventInit = {}) {
    // biome-ignore lint/complexity/noArguments: a type that is missing is not one that is undefined (Web IDL).
    requireArguments('CloseEvent', arguments.length, 1)
    const name = toDomString(type)
    const given = toDictionary(eventInitDict, 'CloseEvent')
    // In the order of Web IDL: those of EventInit first, each dictionary's by their names.
    const init = {
      bubbles: Boolean(given['bubbles']),
      cancelable: Boolean(given['cancelable']),
      composed: Boolean(given['composed']),
    }
    const { code, reason, wasClean } = given
    super(name, init)
    ensurePrototype(this, new.target, CloseEvent)
    this.#code = code === undefined ? 0 : toUnsignedShort(code)
    this.#reason = reason === undefined ? '' : toUsvString(reason)
    this.#wasClean = Boolean(wasClean)
  }

  get wasClean(): boolean {
    return CloseEvent.#check(this).#wasClean
  }

  get code(): number {
    return CloseEvent.#check(this).#code
  }

  get reason(): string {
    return CloseEvent.#check(this).#reason
  }

  static #check(object: unknown): CloseEvent {
    if (isObject(object) && #code in object) return object
    throw illegalInvocation()
  }
}

expose(CloseEvent)
