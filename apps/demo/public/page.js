// What both pages share.

/** @param {string} id */
export const byId = (id) => document.getElementById(id)

/** How many bytes a text takes on the wire. @param {string} text */
export const utf8Length = (text) => new TextEncoder().encode(text).length

/** Shows what is wrong with a field right beside it; an empty text takes the message away. */
export function tellProblem(field, text) {
  byId(`${field.id}-problem`).textContent = text
  if (text === '') {
    field.removeAttribute('aria-invalid')
  } else {
    field.setAttribute('aria-invalid', 'true')
    field.focus()
    field.addEventListener('input', () => tellProblem(field, ''), { once: true })
  }
}

const meanings = new Map([
  [1000, 'normal closure'],
  [1001, 'going away'],
  [1002, 'protocol error'],
  [1003, 'unsupported data'],
  [1005, 'no code given'],
  [1006, 'no Close frame'],
  [1007, 'invalid payload'],
  [1008, 'policy violation'],
  [1009, 'message too big'],
  [1010, 'extension missing'],
  [1011, 'internal error'],
  [1012, 'service restart'],
  [1013, 'try again later'],
])

/** A close code in words. @param {number} code */
export const closeMeaning = (code) =>
  meanings.get(code) ?? (code >= 4000 ? 'private use' : code >= 3000 ? 'registered use' : 'unknown')

/**
 * A list that grows at its end. It follows the newest entry as long as the reader is at the bottom,
 * and stays where it is once they scroll up to read.
 */
export class StickyLog {
  #scroller
  #list
  #empty
  #max
  #following = true

  constructor(max = 500) {
    this.#scroller = byId('log')
    this.#list = byId('log-list')
    this.#empty = byId('log-empty')
    this.#max = max
    this.#scroller.addEventListener('scroll', () => {
      this.#following = this.atBottom
    })
    // A keyboard that slides in, or a message below the log, takes room away: the newest entry stays in sight.
    new ResizeObserver(() => {
      if (this.#following) this.toBottom()
    }).observe(this.#scroller)
  }

  get scroller() {
    return this.#scroller
  }

  get atBottom() {
    // One pixel of grace: scroll positions are fractions on zoomed and dense screens.
    return this.#scroller.scrollHeight - this.#scroller.clientHeight - this.#scroller.scrollTop < 2
  }

  /** Appends an entry; tells whether the reader sees it. @param {HTMLLIElement} entry */
  append(entry) {
    const follow = this.atBottom
    this.#empty.hidden = true
    this.#list.append(entry)
    if (this.#list.childElementCount > this.#max) this.#list.firstElementChild.remove()
    if (follow) this.toBottom()
    else this.#following = false
    return follow
  }

  toBottom() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight
  }

  clear() {
    this.#list.replaceChildren()
    this.#empty.hidden = false
  }
}

/** The time of day as a <time> element: 16:20, or precisely 16:20:05.123. */
export function timestamp({ precise = false } = {}) {
  const now = new Date()
  const time = document.createElement('time')
  time.dateTime = now.toISOString()
  const seconds = precise ? { second: '2-digit', fractionalSecondDigits: 3 } : {}
  time.textContent = now.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', ...seconds })
  return time
}
