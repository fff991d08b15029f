// Every case of the WebSocket class.

import { close } from './close.ts'
import { events } from './events.ts'
import { messages } from './messages.ts'
import { protocols } from './protocols.ts'
import { send } from './send.ts'
import { tls } from './tls.ts'
import { urls } from './url.ts'
import type { WebCase, WebGroup } from './web-case.ts'

/** By subject, in the order of a connection's life. */
export const webGroups: readonly WebGroup[] = [urls, protocols, messages, send, close, events, tls]

/** All in one. */
export const webCatalogue: readonly WebCase[] = webGroups.flatMap(({ cases }) => cases)
