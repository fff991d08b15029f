// `npm run docs:api`: writes docs/api, the reference of all that can be imported, from the TSDoc in src/.
// With `--check` it writes nothing, and fails when docs/api is not what would be written.
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { installPackages } from './packages.mjs'
import { root, run } from './run.mjs'

const help = `Usage: npm run docs:api [-- --check]

Writes docs/api from the TSDoc in src/. Installs typedoc in tools/docs first, where that has not been done.

  --check  writes nothing: fails when docs/api is out of date
  --help   print this`

/** Where the reference stands, from the repository's folder. */
const reference = 'docs/api'

/** Installs what writes the reference; throws when that cannot be done. */
export function installDocs(say) {
  return installPackages('tools/docs', say)
}

/** The pages of a folder by their path in it. */
function pagesOf(folder) {
  if (!existsSync(folder)) return new Map()
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort()
  return new Map(paths.map((path) => [relative(folder, path), readFileSync(path, 'utf8')]))
}

/** Writes the pages into a folder. */
async function write(folder) {
  const { ok, output } = await run(process.execPath, ['tools/docs/api.mjs', folder], { seconds: 100 })
  if (!ok) throw new Error(output.trimEnd())
  for (const [path, text] of pagesOf(folder)) {
    writeFileSync(join(folder, path), text.replace(/[ \t]+$/gm, ''))
  }
}

/** What has to be done to the pages that there are, to make them those that should be there. */
function changes(pages, wanted) {
  const paths = [...new Set([...pages.keys(), ...wanted.keys()])].sort()
  return paths.flatMap((path) => {
    if (pages.get(path) === wanted.get(path)) return []
    const how = !pages.has(path) ? 'new' : !wanted.has(path) ? 'gone' : 'changed'
    return [`${how}: ${reference}/${path}`]
  })
}

async function main() {
  const options = { check: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } }
  const { values } = parseArgs({ options })
  if (values.help) return console.log(help)
  await installDocs(console.log)
  // Beside its place, so that it can be moved there in one step.
  const folder = mkdtempSync(join(root, '.docs-api-'))
  try {
    const written = join(folder, 'api')
    await write(written)
    const target = join(root, reference)
    const list = changes(pagesOf(target), pagesOf(written))
    for (const line of list) console.log(line)
    if (list.length === 0) return console.log(`${reference} is up to date`)
    if (values.check) throw new Error(`${reference} is out of date: npm run docs:api`)
    rmSync(target, { recursive: true, force: true })
    renameSync(written, target)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main().catch((error) => {
    console.error(error.message)
    process.exitCode = error.code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1
  })
}
