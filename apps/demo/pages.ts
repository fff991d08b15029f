// The demo's pages and what they load: a fixed list of files, read once. A request chooses among these
// by its exact path, so no path in a request ever reaches the file system.

import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { commonHeaders, sendText } from './respond.ts'

const html = 'text/html; charset=utf-8'
const javascript = 'text/javascript; charset=utf-8'

interface Page {
  readonly file: string
  readonly type: string
  /** Where the page's scripts may connect to. */
  readonly connect?: string
}

const pages: Readonly<Record<string, Page>> = {
  // The user types the endpoint on this page, so it may connect anywhere; the chat only to where it came from.
  '/': { file: 'index.html', type: html, connect: 'ws: wss:' },
  '/chat': { file: 'chat.html', type: html, connect: "'self'" },
  '/style.css': { file: 'style.css', type: 'text/css; charset=utf-8' },
  '/page.js': { file: 'page.js', type: javascript },
  '/number.js': { file: 'number.js', type: javascript },
  '/chat.js': { file: 'chat.js', type: javascript },
  '/icon.svg': { file: 'icon.svg', type: 'image/svg+xml' },
}

/** The body and headers of one page, ready to be sent. */
interface Loaded {
  readonly body: Buffer
  readonly headers: Readonly<Record<string, string | number>>
}

function contentSecurityPolicy(connect: string): string {
  const own = "script-src 'self'; style-src 'self'; img-src 'self'"
  return `default-src 'none'; ${own}; connect-src ${connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
}

/** Answers a request for one of the pages; tells whether the path was one. */
export type ServePage = (pathname: string, request: IncomingMessage, response: ServerResponse) => boolean

/** Reads all pages and gives the function that serves them to GET and HEAD. */
export async function loadPages(): Promise<ServePage> {
  const folder = new URL('./public/', import.meta.url)
  const loaded = new Map<string, Loaded>()
  for (const [pathname, page] of Object.entries(pages)) {
    const body = await readFile(new URL(page.file, folder))
    const headers = {
      ...commonHeaders,
      'content-security-policy': contentSecurityPolicy(page.connect ?? "'none'"),
      'content-type': page.type,
      'content-length': body.length,
    }
    loaded.set(pathname, { body, headers })
  }

  return (pathname, request, response) => {
    const page = loaded.get(pathname)
    if (page === undefined) return false
    if (request.method === 'GET' || request.method === 'HEAD') {
      response.writeHead(200, page.headers).end(request.method === 'HEAD' ? undefined : page.body)
    } else {
      sendText(response, 405, 'Method not allowed', { allow: 'GET, HEAD' })
    }
    return true
  }
}
