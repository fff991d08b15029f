// What the compiler makes of `dial`: `npm run typecheck` is the test, nothing here is run.
import { type Conn, Dialer, type DialOptions, dial, type Session } from 'silverback'
import { same } from './same.ts'

export async function subprotocolsOfDial(url: string): Promise<void> {
  const none = await dial(url)
  same<typeof none, Conn>(true)
  same<typeof none.subprotocol, string>(true)

  const named = await dial(url, { subprotocols: ['news.v2', 'news.v1'] })
  same<typeof named.subprotocol, 'news.v2' | 'news.v1' | ''>(true)
  // @ts-expect-error: it is not among those that were offered
  if (named.subprotocol === 'news.v3') return

  const list = process.argv
  const computed = await dial(url, { subprotocols: list })
  same<typeof computed.subprotocol, string>(true)

  const options: DialOptions = { subprotocols: ['news.v2'] }
  const widened = await dial(url, options)
  same<typeof widened.subprotocol, string>(true)

  // @ts-expect-error: a subprotocol is a string
  await dial(url, { subprotocols: [2] })
}

export async function subprotocolsOfDialer(url: string): Promise<void> {
  const dialer = new Dialer({ subprotocols: ['news.v2'] })
  same<typeof dialer, Dialer<'news.v2'>>(true)
  const own = await dialer.dial(url, { handshakeTimeout: 1_000 })
  same<typeof own.subprotocol, 'news.v2' | ''>(true)
  const other = await dialer.dial(url, { subprotocols: ['news.v3'] })
  same<typeof other.subprotocol, 'news.v3' | ''>(true)
  const plain = await new Dialer().dial(url)
  same<typeof plain, Conn>(true)
}

/** A connection with names is one without, and not the other way round. */
export async function assignability(url: string): Promise<void> {
  let any: Conn = await dial(url, { subprotocols: ['a'] })
  any = await dial(url, { subprotocols: ['b'] })
  const session: Session = any
  // @ts-expect-error: it may have another subprotocol
  const one: Conn<'a'> = any
  const two: Conn<'a' | 'b'> = await dial(url, { subprotocols: ['a'] })
  void [session, one, two]
}
