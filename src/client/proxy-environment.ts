import { BlockList, isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { withoutBrackets } from './dial-target.ts'

/** What decides whether a server is reached through a proxy. */
export interface ProxyQuestion {
  /** `wss`. */
  readonly secure: boolean
  /** Name or address, an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
}

/** The variables of a process, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What the environment says: a proxy's URL, and the variable that it is from. */
export interface EnvironmentProxy {
  readonly url: string
  readonly variable: string
}

/**
 * The proxy that the environment names for a server: `https_proxy` for `wss`, `http_proxy` for `ws`, else `all_proxy`,
 * each of them in lower case before upper case. The first that is set decides, and set to nothing it means none.
 * This machine is never reached through a proxy, nor is what `no_proxy` lists.
 *
 * @param environment - such as `process.env`
 */
export function proxyFromEnvironment(
  question: ProxyQuestion,
  environment: Environment,
): EnvironmentProxy | undefined {
  if (isLoopback(question.host)) return undefined
  const names = [
    ...(question.secure ? ['https_proxy', 'HTTPS_PROXY'] : plainNames(environment)),
    'all_proxy',
    'ALL_PROXY',
  ]
  const variable = names.find((name) => environment[name] !== undefined)
  const url = variable === undefined ? '' : (environment[variable] ?? '').trim()
  if (variable === undefined || url === '') return undefined
  const except = environment['no_proxy'] || environment['NO_PROXY'] || ''
  return isExcepted(question, except) ? undefined : { url, variable }
}

/**
 * A CGI script finds the request header `Proxy`, which anybody may send, in the variable `HTTP_PROXY`. Where the names
 * of variables have no case, the keys keep theirs.
 */
function plainNames(environment: Environment): string[] {
  if (environment['REQUEST_METHOD'] === undefined) return ['http_proxy', 'HTTP_PROXY']
  return Object.keys(environment).includes('http_proxy') ? ['http_proxy'] : []
}

/** This machine: no proxy could lead there. */
function isLoopback(host: string): boolean {
  return withoutDot(host).toLowerCase() === 'localhost' || isIn(loopback, host)
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

/**
 * Whether `no_proxy` lists a server. Entries stand between commas or spaces: `*`; a name, which stands for its
 * subdomains too, with or without a dot or `*.` before it; an IP address; a range such as `10.0.0.0/8`; each of them
 * but the range with `:port` where it is meant for that port alone. What is none of these is passed over.
 */
export function isExcepted({ host, port }: ProxyQuestion, noProxy: string): boolean {
  const name = domainToASCII(withoutDot(host)).toLowerCase()
  return noProxy.split(/[\s,]+/).some((entry) => {
    if (entry === '') return false
    if (entry === '*') return true
    if (entry.includes('/')) return covers(entry, host)
    const { of, only } = splitPort(entry)
    if (only !== undefined && only !== port) return false
    if (isIP(of) !== 0) return covers(of, host)
    // An address is no subdomain: 10.1 is not the end of 192.168.10.1.
    if (isIP(host) !== 0) return false
    const suffix = domainToASCII(withoutDot(of.replace(/^\*?\./, ''))).toLowerCase()
    return suffix !== '' && (name === suffix || name.endsWith(`.${suffix}`))
  })
}

/** The port of `name:port`, `1.2.3.4:port` and `[::1]:port`; an IPv6 address without brackets has none. */
function splitPort(entry: string): { readonly of: string; readonly only: number | undefined } {
  const colon = entry.lastIndexOf(':')
  const digits = entry.slice(colon + 1)
  if (isIP(entry) !== 0 || colon === -1 || !/^\d+$/.test(digits))
    return { of: withoutBrackets(entry), only: undefined }
  return { of: withoutBrackets(entry.slice(0, colon)), only: Number(digits) }
}

/** The IPv6 addresses that stand for those of IPv4. */
const mapped = new BlockList()
mapped.addSubnet('::ffff:0:0', 96, 'ipv6')

/** Whether an entry is the address of a host, or a range that has it; false when it is neither address nor range. */
function covers(entry: string, host: string): boolean {
  const range = new BlockList()
  const [given = '', bits] = entry.split('/')
  const address = withoutBrackets(given)
  const family = isIP(address)
  const most = family === 4 ? 32 : 128
  const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : most + 1
  if (family === 0 || length > most) return false
  // All of IPv6 is not all of IPv4 besides, though a list of IPv6 addresses is asked for IPv4 as mapped ones.
  if (family === 6 && isIn(mapped, host) && !isIn(mapped, address)) return false
  range.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6')
  return isIn(range, host)
}

function isIn(range: BlockList, host: string): boolean {
  const family = isIP(host)
  return family !== 0 && range.check(host, family === 4 ? 'ipv4' : 'ipv6')
}

/** `example.com.` is `example.com`, said for good. */
function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}
