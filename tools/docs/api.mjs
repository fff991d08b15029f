// Writes the API reference of a package into a folder: `node tools/docs/api.mjs FOLDER [PACKAGE]`. Started by
// scripts/docs-api.mjs, which installs what this needs. Ends with exit code 1 when something that can be imported has
// no TSDoc, or a link in a TSDoc leads nowhere.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Application, Comment, CommentTag, ReferenceType, ReflectionKind } from 'typedoc'
import { BriefTheme } from './theme.mjs'

const [, , folder, root = fileURLToPath(new URL('../..', import.meta.url))] = process.argv

/** The sources that can be imported, by the name that imports them. */
function entryPoints() {
  const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return Object.entries(exports).flatMap(([path, target]) => {
    const source = target['silverback:source']
    return source === undefined ? [] : [{ name: `${name}${path.slice(1)}`, file: join(root, source) }]
  })
}

/** One heading for all that a function throws. */
function joinThrows({ comment }) {
  const tags = comment?.blockTags.filter(({ tag }) => tag === '@throws') ?? []
  if (tags.length < 2) return
  const list = tags.flatMap(({ content }) => [{ kind: 'text', text: '- ' }, ...indent(content), newLine])
  const joined = new CommentTag('@throws', list)
  comment.blockTags = comment.blockTags.flatMap((tag) =>
    tag === tags[0] ? [joined] : tags.includes(tag) ? [] : [tag],
  )
}

const newLine = { kind: 'text', text: '\n' }

function indent(content) {
  return content.map((part) => ({ ...part, text: part.text.replaceAll('\n', '\n  ') }))
}

/** TypeScript writes the codes out wherever their type stands. */
function isErrorCode(type) {
  return (
    type?.type === 'union' &&
    type.types.length > 20 &&
    type.types.every(({ value }) => /^ERR_WS_/.test(value))
  )
}

/** What a class inherits stands with the class that it extends. */
function removeInherited(reflection) {
  const { inheritedFrom, parent } = reflection
  if (inheritedFrom === undefined || !parent?.kindOf(ReflectionKind.Class)) return
  parent.groups = parent.groups
    ?.map((group) =>
      Object.assign(group, { children: group.children.filter((child) => child !== reflection) }),
    )
    .filter(({ children }) => children.length > 0)
  parent.project.removeReflection(reflection)
}

const entries = entryPoints()
const app = await Application.bootstrapWithPlugins({
  plugin: ['typedoc-plugin-markdown'],
  entryPoints: entries.map(({ file }) => file),
  tsconfig: join(root, 'tsconfig.build.json'),
  name: 'API reference',
  alwaysCreateEntryPointModule: true,
  // The same wherever and whenever it is run: no lines of sources, no remote, no version, no date.
  readme: 'none',
  disableSources: true,
  disableGit: true,
  sourceLinkTemplate: '{path}',
  sort: ['kind', 'alphabetical'],
  excludeInternal: true,
  excludeExternals: true,
  excludePrivate: true,
  validation: { notExported: true, invalidLink: true, notDocumented: true, rewrittenLink: true },
  // A setter is documented by its getter.
  requiredToBeDocumented: [
    'Variable',
    'Function',
    'Class',
    'Interface',
    'TypeAlias',
    'Constructor',
    'Method',
    'Property',
    'GetSignature',
  ],
  // Parts of types that are only to be read: which codes there are, and which belong to a class.
  intentionallyNotExported: [
    'errorKinds',
    'CodeOf',
    'Falsy',
    'RequiresAuthorize',
    'RequiresContext',
    'Clock',
    'WebSocketEventHandler',
  ],
  router: 'member',
  hidePageHeader: true,
  hideBreadcrumbs: true,
  pageTitleTemplates: { member: '{name}' },
  useCodeBlocks: true,
  indexFormat: 'table',
  parametersFormat: 'table',
  interfacePropertiesFormat: 'table',
  classPropertiesFormat: 'table',
  typeDeclarationFormat: 'table',
  tableColumnSettings: {
    hideDefaults: true,
    hideInherited: true,
    hideModifiers: true,
    hideOverrides: true,
    hideSources: true,
    hideValues: true,
  },
})
app.renderer.defineTheme('brief', BriefTheme)
app.options.setValue('theme', 'brief')

const points = app.getEntryPoints()?.map((point, index) => ({ ...point, displayName: entries[index].name }))
if (points === undefined) process.exit(1)
const project = app.converter.convert(points)
const errorCode = project.getChildByName([entries[0].name, 'ErrorCode'])
for (const reflection of Object.values(project.reflections)) {
  joinThrows(reflection)
  if (isErrorCode(reflection.type))
    reflection.type = ReferenceType.createResolvedReference('ErrorCode', errorCode, project)
  removeInherited(reflection)
}
project.comment = new Comment([
  {
    kind: 'text',
    text: 'Written by `npm run docs:api` from the TSDoc in `src/`: what is wrong here is mended there.',
  },
])
app.validate(project)
await app.outputs.writeOutput({ name: 'markdown', path: folder }, project)
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exitCode = 1
