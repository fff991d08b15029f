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
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

/** What a validator says of a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** The first issue in one line, with the place it concerns. */
export function describeIssue(issues: readonly SchemaIssue[]): string {
  const issue = issues[0]
  if (issue === undefined) return 'not valid'
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
  return path === '' ? issue.message : `${path}: ${issue.message}`
}
