/** The bytes to keep: a view, unless that would keep a much larger buffer alive. */
export function own(bytes: Buffer, start: number, end: number): Buffer {
  if ((end - start) * 4 >= bytes.buffer.byteLength) return bytes.subarray(start, end)
  const copy = Buffer.allocUnsafe(end - start)
  bytes.copy(copy, 0, start, end)
  return copy
}
