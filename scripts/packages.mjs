// Installs the packages of a folder that has a lock of its own, so that those of the root stay few.
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from './run.mjs'

/** npm writes its hidden lock last, so it tells both that an installation is whole and how old it is. */
export function packagesAreFresh(folder) {
  const installed = join(root, folder, 'node_modules/.package-lock.json')
  if (!existsSync(installed)) return false
  return statSync(installed).mtimeMs >= statSync(join(root, folder, 'package-lock.json')).mtimeMs
}

/** Says what it does; throws when the packages cannot be installed. */
export async function installPackages(folder, say) {
  if (packagesAreFresh(folder)) return say(`${folder}/node_modules is up to date`)
  say(`npm ci --prefix ${folder} ...`)
  // The lock says what a package has to be, so one from the cache is as good as one from the network.
  const options = ['--prefix', folder, '--prefer-offline', '--no-audit', '--no-fund']
  const { ok, output, why } = await run('npm', ['ci', ...options], { seconds: 300 })
  if (!ok) throw new Error(`npm ci --prefix ${folder} ${why}\n${output}`)
}
