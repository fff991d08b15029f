import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's folder, with a slash at the end. */
export const root: string = fileURLToPath(new URL('../', import.meta.url))

/** The files below a folder whose name ends so, as paths from {@link root} with `/`; without installed packages. */
export function filesBelow(folder: string, ends: string): string[] {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules' && !name.startsWith('.'))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) return filesBelow(path, ends)
      return path.endsWith(ends) ? [path] : []
    })
    .sort()
}
