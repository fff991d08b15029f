// The reference's pages: those of typedoc-plugin-markdown, with less on them.
import { MarkdownTheme, MarkdownThemeContext } from 'typedoc-plugin-markdown'

class BriefContext extends MarkdownThemeContext {
  constructor(...args) {
    super(...args)
    const { partials } = this
    this.partials = {
      ...partials,
      // Where a member was declared first is of no use to who calls it.
      inheritance: () => '',
      // A getter is read like a property: its type stands in its declaration, and need not be told once more.
      accessor({ getSignature, setSignature }, { headingLevel }) {
        return [
          getSignature && partials.signatureTitle(getSignature, { accessor: 'get' }),
          setSignature && partials.signatureTitle(setSignature, { accessor: 'set' }),
          getSignature?.comment && partials.comment(getSignature.comment, { headingLevel }),
        ]
          .filter(Boolean)
          .join('\n\n')
      },
    }
  }
}

export class BriefTheme extends MarkdownTheme {
  getRenderContext(page) {
    return new BriefContext(this, page, this.application.options)
  }
}
