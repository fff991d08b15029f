// The conversions of Web IDL that the web's interfaces do to what they are given, as far as these here need them.
import { toUSVString } from 'node:util'

/** Throws the `TypeError` that a method throws which is called with too few arguments. */
export function requireArguments(where: string, given: number, needed: number): void {
  if (given >= needed) return
  throw new TypeError(
    `${where}: ${needed} argument${needed === 1 ? '' : 's'} required, but only ${given} present`,
  )
}

/** Whether a value can be asked for a private member by `in`. */
export function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

/** What a member throws that is called on an object of another class. */
export function illegalInvocation(): TypeError {
  return new TypeError('Illegal invocation')
}

/** @throws TypeError for a symbol */
export function toDomString(value: unknown): string {
  // Not String(): that takes symbols.
  return `${value as string}`
}

/** Lone surrogates become U+FFFD. */
export function toUsvString(value: unknown): string {
  return toUSVString(toDomString(value))
}

/** As a `[Clamp] unsigned short`: to the nearest integer, the even one of two. */
export function toClampedShort(value: unknown): number {
  const number = Math.min(Math.max(toNumber(value), 0), 0xffff)
  if (Number.isNaN(number)) return 0
  const below = Math.floor(number)
  const above = number - below > 0.5 || (number - below === 0.5 && below % 2 === 1)
  return above ? below + 1 : below
}

/** As an `unsigned short`: modulo 2^16. */
export function toUnsignedShort(value: unknown): number {
  // The shift is ToUint32, which takes NaN and infinity for 0.
  return (toNumber(value) >>> 0) & 0xffff
}

/** @throws TypeError for what is no object, unless it is left out */
export function toDictionary(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (value === undefined || value === null) return {}
  if (isObject(value)) return value as Record<string, unknown>
  throw new TypeError(`${where}: the argument is not an object`)
}

/** As a `sequence<DOMString>`; `undefined` when it is not iterable. */
export function toSequence(value: unknown, where: string): string[] | undefined {
  if (!isObject(value)) return undefined
  const method: unknown = (value as Partial<Iterable<unknown>>)[Symbol.iterator]
  if (method === undefined || method === null) return undefined
  if (typeof method !== 'function') throw new TypeError(`${where}: @@iterator is not a function`)
  const iterator: unknown = Reflect.apply(method, value, [])
  if (!isObject(iterator)) throw new TypeError(`${where}: the iterator is not an object`)
  // Each step is looked up once and converted before the next is taken; `for of` would close the iterator besides.
  const { next } = iterator as Iterator<unknown>
  const strings: string[] = []
  for (;;) {
    const step: unknown = Reflect.apply(next, iterator, [])
    // What is no object would never be done.
    if (!isObject(step)) throw new TypeError(`${where}: what the iterator gives is not an object`)
    const { done, value: item } = step as IteratorResult<unknown>
    if (done) return strings
    strings.push(toDomString(item))
  }
}

/**
 * Gives a new object the prototype of its class where the constructor that `new` was called on has none, as
 * `Reflect.construct` allows ("internally create a new object implementing the interface").
 */
export function ensurePrototype(
  object: object,
  newTarget: { readonly prototype: unknown },
  type: { readonly prototype: object },
): void {
  if (!isObject(newTarget.prototype)) Object.setPrototypeOf(object, type.prototype)
}

/** Gives a class the attributes of a Web IDL interface: members can be enumerated, and objects say what they are. */
export function expose(type: { readonly name: string; readonly prototype: object }): void {
  const { prototype } = type
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype)))
    if (name !== 'constructor') Object.defineProperty(prototype, name, { ...descriptor, enumerable: true })
  Object.defineProperty(prototype, Symbol.toStringTag, { value: type.name, configurable: true })
}

/** Gives a class the constants of a Web IDL interface, on itself and on its prototype. */
export function defineConstants(
  type: { readonly prototype: object },
  constants: Readonly<Record<string, number>>,
): void {
  for (const [name, value] of Object.entries(constants))
    for (const object of [type, type.prototype])
      Object.defineProperty(object, name, { value, enumerable: true })
}

/** @throws TypeError for symbols and bigints */
function toNumber(value: unknown): number {
  return +(value as number)
}
