/** An object's event handlers: the attributes `onopen` and so on (HTML Standard, section "Event handlers"). */
export class EventHandlers {
  readonly #target: EventTarget
  readonly #handlers = new Map<string, Handler>()

  constructor(target: EventTarget) {
    this.#target = target
  }

  /** The handler as it was set: a function or another object, or `null`. */
  get(type: string): object | null {
    return this.#handlers.get(type)?.value ?? null
  }

  /**
   * Sets a handler; what is no object takes it away. One that replaces another keeps its place among the listeners, one
   * that comes where there was none is the last of them.
   */
  set(type: string, value: unknown): void {
    const handler = this.#handlers.get(type)
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) {
      if (handler === undefined) return
      this.#handlers.delete(type)
      remove.call(this.#target, type, handler.listener)
    } else if (handler !== undefined) {
      handler.value = value
    } else {
      const added: Handler = { value, listener: (event) => call(added.value, this.#target, event) }
      this.#handlers.set(type, added)
      add.call(this.#target, type, added.listener)
    }
  }
}

interface Handler {
  value: object
  readonly listener: (event: Event) => void
}

// An application may have put its own in their place.
const { addEventListener: add, removeEventListener: remove } = EventTarget.prototype

function call(value: object, target: EventTarget, event: Event): void {
  // An object that is no function is kept, and does nothing: `handleEvent` is for listeners.
  if (typeof value !== 'function') return
  if (Reflect.apply(value, target, [event]) === false) event.preventDefault()
}

/** Adds the attributes of event handlers to a class: `onopen` for `open`, and so on. */
export function defineEventHandlers(
  type: { readonly prototype: object },
  events: readonly string[],
  handlersOf: (object: unknown) => EventHandlers,
): void {
  for (const event of events) {
    const name = `on${event}`
    const accessor = {
      get [name](): object | null {
        return handlersOf(this).get(event)
      },
      set [name](value: unknown) {
        handlersOf(this).set(event, value)
      },
    }
    Object.defineProperty(
      type.prototype,
      name,
      Object.getOwnPropertyDescriptor(accessor, name) as PropertyDescriptor,
    )
  }
}
