/**
 * A validator that follows the Standard Schema specification, version 1: zod, valibot, arktype and others do.
 *
 * @example
 * ```ts
 * import { serve, type StandardSchema } from 'silverback'
 *
 * const text: StandardSchema<string> = {
 *   '~standard': {
 *     version: 1,
 *     vendor: 'example',
 *     validate: (value) =>
 *       typeof value === 'string' ? { value } : { issues: [{ message: 'expected a string' }] },
 *   },
 * }
 * await using server = await serve({}, async (conn) => {
 *   for await (const value of conn.json(text)) conn.sendJson(value.toUpperCase())
 * })
 * ```
 */
export interface StandardSchema<Output = unknown> {
  /** What the specification keeps apart from a validator's own members. */
  readonly '~standard': {
    /** The version of the specification. */
    readonly version: 1
    /** Whose validator it is. */
    readonly vendor: string
    /** Checks a value, and may change it. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    /** For the compiler only: absent at run time. */
    readonly types?:
      | {
          /** What goes in. */
          readonly input: unknown
          /** What comes out. */
          readonly output: Output
        }
      | undefined
  }
}

/** What a validator says of a value. */
export type SchemaResult<Output> =
  | {
      /** The value, valid. */
      readonly value: Output
      /** Absent. */
      readonly issues?: undefined
    }
  | {
      /** What is wrong, at least one. */
      readonly issues: readonly SchemaIssue[]
    }

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  /** What is wrong. */
  readonly message: string
  /** Where: from the outside in. */
  readonly path?:
    | readonly (
        | PropertyKey
        | {
            /** The name or index of one step. */
            readonly key: PropertyKey
          }
      )[]
    | undefined
}

/** The first issue in one line, with the place it concerns. */
export function describeIssue(issues: readonly SchemaIssue[]): string {
  const issue = issues[0]
  if (issue === undefined) return 'not valid'
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
  return path === '' ? issue.message : `${path}: ${issue.message}`
}
