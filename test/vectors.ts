import { framingVectors } from './vectors/framing.ts'
import { messageVectors } from './vectors/messages.ts'
import { utf8Vectors } from './vectors/utf8.ts'
import type { VectorGroup } from './vectors/vector.ts'

export { type Expected, streamOf, type Vector, type VectorGroup } from './vectors/vector.ts'

/** Every protocol case there is. */
export const vectorGroups: readonly VectorGroup[] = [...framingVectors, ...messageVectors, ...utf8Vectors]
