// A node:test reporter for `npm test`: one JSON document with the runner's own totals and the skipped tests, so
// that both can be printed last, after the coverage step.
import { relative } from 'node:path'

const totalLine = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/

// biome-ignore lint/style/noDefaultExport: node:test takes a reporter from the default export
export default async function* totals(events) {
  const summary = { totals: [], skipped: [], failed: [] }
  for await (const { type, data } of events) {
    const file = data.file === undefined ? '' : relative('.', data.file)
    // A file that fails as a whole has its path for a name.
    const test = data.name === data.file ? file : `${file}: ${data.name}`
    // Only the totals belong to no file: `t.diagnostic('tests 9')` of a test does.
    if (type === 'test:diagnostic' && data.file === undefined && totalLine.test(data.message)) {
      summary.totals.push(data.message)
    } else if (type === 'test:fail' && data.todo === undefined && data.details.type !== 'suite') {
      summary.failed.push(test)
    } else if (type === 'test:pass' && data.skip !== undefined) {
      summary.skipped.push({ test, reason: data.skip === true ? 'no reason given' : data.skip })
    }
  }
  yield JSON.stringify(summary)
  // All is reported. What a test that timed out left running may hold the runner's pipes open for ever.
  setTimeout(() => process.exit(), 5000).unref()
}
