/** The part of the runtime's WebAssembly that is used here. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

declare const WebAssembly: WebAssemblyApi | undefined

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  /**
   * Masks the bytes from `at` to `end`, 16 at a time.
   *
   * @param key - its first byte in the lowest bits
   * @returns one bit for each of 16 places: whether a byte there has its highest bit set
   */
  mask(at: number, end: number, key: number): number
}

/** What the module has for memory: one page. */
const BLOCK = 64 * 1024

// biome-ignore format: one instruction a line
const code: Uint8Array = Uint8Array.of(
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
  // One type, (i32, i32, i32) -> i32; one function of that type; one page of memory; the two exports.
  0x01, 0x08, 0x01, 0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x01, 0x7f,
  0x03, 0x02, 0x01, 0x00,
  0x05, 0x03, 0x01, 0x00, 0x01,
  0x07, 0x11, 0x02,
  0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00, // "memory"
  0x04, 0x6d, 0x61, 0x73, 0x6b, 0x00, 0x00, // "mask"
  // One body of 55 bytes, with three v128 for locals: 3 the key four times over, 4 all bytes or-ed, 5 those at hand.
  0x0a, 0x39, 0x01, 0x37, 0x01, 0x03, 0x7b,
  0x20, 0x02, // local.get 2
  0xfd, 0x11, // i32x4.splat
  0x21, 0x03, // local.set 3
  0x03, 0x40, // loop
  0x20, 0x00, //   local.get 0
  0x20, 0x00, //   local.get 0
  0xfd, 0x00, 0x04, 0x00, //   v128.load
  0x20, 0x03, //   local.get 3
  0xfd, 0x51, //   v128.xor
  0x22, 0x05, //   local.tee 5
  0xfd, 0x0b, 0x04, 0x00, //   v128.store
  0x20, 0x04, //   local.get 4
  0x20, 0x05, //   local.get 5
  0xfd, 0x50, //   v128.or
  0x21, 0x04, //   local.set 4
  0x20, 0x00, //   local.get 0
  0x41, 0x10, //   i32.const 16
  0x6a, //   i32.add
  0x22, 0x00, //   local.tee 0
  0x20, 0x01, //   local.get 1
  0x49, //   i32.lt_u
  0x0d, 0x00, //   br_if 0
  0x0b, // end
  0x20, 0x04, // local.get 4
  0xfd, 0x64, // i8x16.bitmask
  0x0b, // end
)

/**
 * Masks a range of whole 16 bytes into another, which may be the same; `true` when a byte there then has its highest bit
 * set.
 */
export type SimdMask = (
  bytes: Uint8Array,
  start: number,
  end: number,
  key: number,
  target: Uint8Array,
  at: number,
) => boolean

/**
 * Masking by the processor's 16-byte instructions, which JavaScript has only through WebAssembly: bytes are copied
 * into its memory and out of it, which takes half as long as to mask them word by word.
 *
 * @returns `undefined` where the runtime has no such thing
 */
export function makeSimdMask(
  api: WebAssemblyApi | undefined = typeof WebAssembly === 'undefined' ? undefined : WebAssembly,
): SimdMask | undefined {
  let exports: Exports
  try {
    if (api === undefined) return undefined
    exports = new api.Instance(new api.Module(code)).exports as Exports
  } catch {
    return undefined
  }
  const memory = new Uint8Array(exports.memory.buffer)
  const { mask } = exports
  return (bytes, start, end, key, target, at) => {
    const word = (key >>> 24) | ((key >>> 8) & 0xff00) | ((key << 8) & 0xff0000) | (key << 24)
    const way = at - start
    let high = 0
    for (let from = start; from < end; from += BLOCK) {
      const block = bytes.subarray(from, Math.min(end, from + BLOCK))
      memory.set(block)
      high |= mask(0, block.length, word)
      target.set(block.length === BLOCK ? memory : memory.subarray(0, block.length), from + way)
    }
    return high !== 0
  }
}
