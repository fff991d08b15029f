// Installs what the interop tests talk to: npm packages in interop/, and browsers, proxies and other WebSocket
// libraries from Debian's packages when this is Debian and we are root. What cannot be installed is named, and its
// tests are skipped.
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { tsImport } from 'tsx/esm/api'
import { installPackages } from './packages.mjs'
import { run } from './run.mjs'

const find = await tsImport('../interop/peers.ts', import.meta.url)

const peers = [
  { name: 'Chromium', packages: ['chromium'], found: find.chromiumPath },
  { name: 'Firefox', packages: ['firefox-esr'], found: find.firefoxPath },
  { name: 'nginx', packages: ['nginx'], service: 'nginx', found: find.nginxPath },
  { name: 'HAProxy', packages: ['haproxy'], service: 'haproxy', found: find.haproxyPath },
  { name: 'OpenSSL', packages: ['openssl'], found: find.opensslPath },
  {
    name: 'gorilla/websocket',
    packages: ['golang-go', 'golang-github-gorilla-websocket-dev'],
    found: find.gorillaPeer,
  },
  ...['websockets', 'wsproto', 'aiohttp', 'websocket'].map((module) => ({
    name: `Python with ${module}`,
    packages: [`python3-${module}`],
    found: () => find.pythonWith(module),
  })),
  {
    name: 'the programs of libwebsockets',
    packages: ['libwebsockets-test-server'],
    found: () => find.libwebsocketsServerPath() && find.libwebsocketsClientPath(),
  },
]

const say = (text) => console.log(`  ${text}`)

/** Why packages of Debian cannot be installed here, or '' when they can. */
function whyNoApt() {
  if (process.env.SILVERBACK_NO_APT === '1') return 'SILVERBACK_NO_APT=1'
  if (!existsSync('/etc/debian_version') || !existsSync('/usr/bin/apt-get')) return 'this is not Debian'
  return process.getuid?.() === 0 ? '' : 'not root'
}

async function apt(args, seconds) {
  say(`apt-get ${args.join(' ')} (at most ${seconds} s) ...`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const { ok, output, why } = await run('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...args], {
    seconds,
    env,
  })
  if (!ok) say(`apt-get ${args[0]} ${why}\n${output.trimEnd()}`)
  return ok
}

const policy = '/usr/sbin/policy-rc.d'

/** Keeps packages from starting the services that they bring: the tests start proxies of their own. */
async function withoutStarting(work) {
  // A policy that this machine has is its owner's; then services are stopped afterwards.
  if (existsSync(policy)) return work()
  const restore = () => rmSync(policy, { force: true })
  process.once('exit', restore)
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    await work()
  } finally {
    restore()
    process.off('exit', restore)
  }
}

async function install(missing) {
  // An out-of-date list of packages may still do, so the installation is tried either way.
  await apt(['update'], 180)
  const packages = missing.flatMap((peer) => peer.packages)
  const args = ['install', '-y', '--no-install-recommends']
  if (await apt([...args, ...packages], 600)) return
  // One that this Debian lacks must not hold up the others.
  for (const peer of missing) await apt([...args, ...peer.packages], 600)
}

/** Stops and disables the services that have just come with a package, which nobody asked for as such. */
async function stopServices(services) {
  if (services.length === 0 || !existsSync('/run/systemd/system')) return
  const { ok, why } = await run('systemctl', ['disable', '--now', ...services], { seconds: 60 })
  if (!ok) say(`systemctl disable --now ${services.join(' ')} ${why}`)
}

async function installPeers() {
  const missing = peers.filter(({ found }) => found() === undefined)
  const reason = whyNoApt()
  if (missing.length > 0 && reason === '') {
    await withoutStarting(() => install(missing))
    await stopServices(
      missing.filter(({ service, found }) => service !== undefined && found()).map(({ service }) => service),
    )
  }
  for (const { name, packages, found } of peers) {
    const path = found()
    const hint = `apt-get install ${packages.join(' ')}${reason === '' ? '' : `; not done here: ${reason}`}`
    say(path === undefined ? `${name}: missing, its tests will be skipped (${hint})` : `${name}: ${path}`)
  }
}

/** Sets everything up; throws when the npm packages cannot be installed. */
export async function setupInterop() {
  await installPackages('interop', say)
  await installPeers()
}

const usage = `Usage: npm run setup

Installs what the interop tests talk to: npm packages, and with apt-get, on Debian as root, browsers, proxies and other
WebSocket libraries. What is missing in the end is named. SILVERBACK_NO_APT=1 leaves apt-get alone.
`

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [option] = process.argv.slice(2)
  if (option === '--help') process.stdout.write(usage)
  else if (option !== undefined) {
    process.stderr.write(`'${option}' is not an option\n\n${usage}`)
    process.exitCode = 2
  } else
    await setupInterop().catch((error) => {
      console.error(error.message)
      process.exitCode = 1
    })
}
