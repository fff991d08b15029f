// Scenarios that run unchanged in a page, with the browser's own classes, and in Node, with ours. Each notes what it
// saw under names of its own; what two clients noted can be compared.

import { connectionScenarios } from './connection.js'
import { interfaceScenarios } from './interface.js'
import { streamScenarios } from './streams.js'

/** What scenarios work with. */
class Stage {
  #next = 0

  constructor(api, port, prefix) {
    this.api = api
    this.outcomes = {}
    this.port = port
    this.prefix = prefix
  }

  id() {
    this.#next += 1
    return `${this.prefix} ${this.#next}`
  }

  url(plan = {}) {
    return `ws://127.0.0.1:${this.port}/ws?${new URLSearchParams(plan)}`
  }

  note(name, value) {
    this.outcomes[name] = value === undefined ? 'undefined' : value
  }

  /** Notes what a function returns or throws; of errors what a program can tell them by. */
  attempt(name, run) {
    try {
      const result = run()
      if (result instanceof Promise)
        return result.then(
          (value) => this.note(name, value),
          (error) => this.note(name, `rejected ${this.error(error)}`),
        )
      this.note(name, result)
    } catch (error) {
      this.note(name, this.error(error))
    }
  }

  error(error) {
    if (typeof error !== 'object' || error === null) return `${typeof error} ${String(error)}`
    const { closeCode, reason } = error
    const { name } = Object.getPrototypeOf(error).constructor
    return [name, error.name, error.code ?? '', closeCode ?? '', reason ?? ''].join(' ').trim()
  }

  /** A socket whose connection does not matter. */
  brief(socket) {
    socket.close()
    return socket
  }

  describe(object, key) {
    const descriptor = Object.getOwnPropertyDescriptor(object, key)
    if (descriptor === undefined) return 'none'
    return Object.entries(descriptor)
      .map(([name, value]) => {
        if (typeof value === 'function') return `${name}: ${value.name}/${value.length}`
        return `${name}: ${typeof value === 'object' ? Object.prototype.toString.call(value) : String(value)}`
      })
      .sort()
  }

  escape(text) {
    return [...text]
      .map((char) =>
        char >= '\ud800' && char < '\ue000' && char.length === 1
          ? `<${char.charCodeAt(0).toString(16)}>`
          : char,
      )
      .join('')
  }

  show(data) {
    if (typeof data === 'string') return data
    if (data instanceof Blob) return `Blob ${data.size} ${data.type}`
    if (data instanceof ArrayBuffer)
      return `ArrayBuffer ${data.byteLength} ${[...new Uint8Array(data).subarray(0, 8)]}`
    return typeof data === 'object' ? Object.prototype.toString.call(data) : String(data)
  }

  /** Notes what a promise comes to. */
  settled(name, promise) {
    return promise.then(
      (value) => this.note(name, this.showAny(value)),
      (error) => this.note(name, `rejected ${this.error(error)}`),
    )
  }

  /** A value, with the members of an object by their names. */
  showAny(value) {
    if (typeof value !== 'object' || value === null) return String(value)
    return Object.entries(value)
      .sort()
      .map(
        ([name, part]) =>
          `${name} ${typeof part === 'string' && part.length > 100 ? part.length : this.show(part)}`,
      )
  }

  async describeClass(type) {
    const { name, prototype } = type
    this.note(`${name} class`, [type.length, Object.getPrototypeOf(type).name])
    this.note(`${name} names`, Reflect.ownKeys(type).map(String).sort())
    this.note(`${name}.prototype names`, Reflect.ownKeys(prototype).map(String).sort())
    for (const key of Reflect.ownKeys(prototype))
      this.note(`${name}.prototype.${String(key)}`, this.describe(prototype, key))
    this.note(`${name}.prototype`, this.describe(type, 'prototype'))
    this.note(`${name}.OPEN`, this.describe(type, 'OPEN'))
    for (const [key, { get, set, value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (key === 'constructor') continue
      for (const member of [get, set, value])
        for (const other of [{}, prototype, undefined])
          if (typeof member === 'function')
            await this.attempt(
              `${member.name} of ${name} called on ${Object.prototype.toString.call(other)}`,
              () => member.call(other),
            )
    }
  }

  /** A stream that is open. */
  async openStream(plan = {}, ...options) {
    const id = this.id()
    const stream = new this.api.WebSocketStream(this.url({ ...plan, id }), ...options)
    stream.closed.catch(() => {})
    return { stream, id, info: await stream.opened }
  }

  /** A socket that is open. */
  async open(plan = {}, ...protocols) {
    const socket = new this.api.WebSocket(this.url(plan), ...protocols)
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve, { once: true })
      socket.addEventListener('close', () => reject(new Error('closed instead of open')), { once: true })
    })
    return socket
  }

  closed(socket) {
    if (socket.readyState === 3) return Promise.resolve()
    return new Promise((resolve) => {
      socket.addEventListener('close', resolve)
    })
  }

  watch(socket) {
    const log = []
    for (const type of ['open', 'message', 'error', 'close'])
      socket.addEventListener(type, (event) => {
        const { data, code, reason, wasClean } = event
        if (type === 'message') log.push(`message ${socket.readyState} ${this.show(data)}`)
        else if (type === 'close') log.push(`close ${socket.readyState} ${code} ${reason} ${wasClean}`)
        else log.push(`${type} ${socket.readyState}`)
      })
    return { socket, log }
  }

  async heard(id) {
    return await (await fetch(`http://127.0.0.1:${this.port}/heard?id=${encodeURIComponent(id)}`)).json()
  }

  async until(holds) {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1))
  }

  /** Opens a socket, does something with it, and notes its events and what the server heard. */
  async conversation(name, plan, act, ...protocols) {
    const id = this.id()
    const given = protocols[0] === undefined ? [] : protocols
    const { socket, log } = this.watch(new this.api.WebSocket(this.url({ ...plan, id }), ...given))
    socket.addEventListener('open', () => {
      const { protocol, extensions } = socket
      if (protocol !== '' || extensions !== '') log.push([protocol, extensions])
      try {
        act(socket, log)
      } catch (error) {
        log.push(this.error(error))
        socket.close()
      }
    })
    await this.closed(socket)
    this.note(name, log)
    // What a client says of a server's faults is its own affair.
    if (!('wait' in plan)) this.note(`${name}: frames`, (await this.heard(id)).frames)
  }
}

/** The names of all scenarios, and whether they need a `WebSocketStream`. */
export const names = [
  ...Object.keys({ ...interfaceScenarios, ...connectionScenarios }).map((name) => ({ name, streams: false })),
  ...Object.keys(streamScenarios).map((name) => ({ name, streams: true })),
]

/** Plays one scenario: what it noted. */
export async function play(name, api, port) {
  const stage = new Stage(api, port, `${name} ${Math.random()}`)
  // For people to look at when it does not end.
  globalThis.stage = stage
  await { ...interfaceScenarios, ...connectionScenarios, ...streamScenarios }[name](stage)
  return stage.outcomes
}
