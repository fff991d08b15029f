// Installs what the interop tests talk to: npm packages in interop/, and two browsers and a Python library from
// Debian's packages when this is Debian and we are root. What cannot be installed is named, and its tests are skipped.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { tsImport } from 'tsx/esm/api'
import { installPackages } from './packages.mjs'
import { run } from './run.mjs'

const { chromiumPath, firefoxPath, pythonWithWebsockets } = await tsImport(
  '../interop/peers.ts',
  import.meta.url,
)

const peers = [
  { name: 'Chromium', packageName: 'chromium', found: chromiumPath },
  { name: 'Firefox', packageName: 'firefox-esr', found: firefoxPath },
  { name: 'Python with websockets', packageName: 'python3-websockets', found: pythonWithWebsockets },
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

async function installPeers() {
  const missing = peers.filter(({ found }) => found() === undefined)
  const reason = whyNoApt()
  if (missing.length > 0 && reason === '') {
    // An out-of-date list of packages may still do, so the installation is tried either way; and one by one, as a
    // package that this Debian lacks would hold up the others.
    await apt(['update'], 180)
    for (const { packageName } of missing) {
      await apt(['install', '-y', '--no-install-recommends', packageName], 600)
    }
  }
  for (const { name, packageName, found } of peers) {
    const path = found()
    const hint = `apt-get install ${packageName}${reason === '' ? '' : `; not done here: ${reason}`}`
    say(path === undefined ? `${name} is missing, its tests will be skipped (${hint})` : `${name}: ${path}`)
  }
}

/** Sets everything up; throws when the npm packages cannot be installed. */
export async function setupInterop() {
  await installPackages('interop', say)
  await installPeers()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setupInterop().catch((error) => {
    console.error(error.message)
    process.exitCode = 1
  })
}
