// Words that open an expression, so that a slash behind them begins a regular expression.
const beforeRegExp = /(?:^|[^\w$.])(?:return|typeof|case|in|of|void|delete|throw|new|else|do|await|yield)$/

/** Whether a slash behind this code divides (else it begins a regular expression). */
function divides(code: string): boolean {
  const before = code.trimEnd()
  return /[\w$)\]}'"`]$/.test(before) && !beforeRegExp.test(before)
}

const comment = /\/\/.*|\/\*[\s\S]*?\*\//y
const string = /'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"/y
const regExp = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y
const templateText = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y

function matchAt(pattern: RegExp, source: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(source)?.[0]
}

/** The text as blanks, line breaks kept; `keep` characters stay at both ends. */
function blank(text: string, keep: number): string {
  const end = text.length - keep
  return text.slice(0, keep) + text.slice(keep, end).replace(/[^\n]/g, ' ') + text.slice(end)
}

/**
 * A TypeScript source with comments, regular expressions and the contents of strings blanked out: what is left is
 * code, at its old place. Knows as much of the grammar as telling these apart takes.
 */
export function codeOnly(source: string): string {
  let code = ''
  // For each template that is open around this point: how many braces are open inside its `${`.
  const templates: number[] = []
  const template = (): void => {
    const text = matchAt(templateText, source, code.length)
    if (text === undefined) throw new SyntaxError('a template string is not closed')
    const opens = text.endsWith('${')
    code += blank(text.slice(0, opens ? -2 : -1), 0) + (opens ? '${' : '`')
    if (opens) templates.push(0)
  }
  while (code.length < source.length) {
    const at = code.length
    const character = source[at] as string
    const braces = templates.at(-1)
    const text =
      matchAt(comment, source, at) ??
      matchAt(string, source, at) ??
      (character === '/' && !divides(code) ? matchAt(regExp, source, at) : undefined)
    if (text !== undefined) {
      code += /^['"]/.test(text) ? blank(text, 1) : blank(text, 0)
    } else if (character === '`') {
      code += '`'
      template()
    } else if (character === '}' && braces === 0) {
      templates.pop()
      code += '}'
      template()
    } else {
      if (braces !== undefined && (character === '{' || character === '}')) {
        templates[templates.length - 1] = braces + (character === '{' ? 1 : -1)
      }
      code += character
    }
  }
  return code
}
