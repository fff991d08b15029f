import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate and its key, in PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** A certificate for 127.0.0.1 that is its own authority, made by this `openssl`. */
export function selfSigned(openssl: string): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'silverback-cert-'))
  try {
    const [cert, key] = [join(folder, 'site.crt'), join(folder, 'site.key')]
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const name = ['-subj', '/CN=silverback test', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2']
    const args = ['req', '-x509', ...curve, ...name, '-keyout', key, '-out', cert]
    const { status, stderr, error } = spawnSync(openssl, args, { encoding: 'utf8', timeout: 20_000 })
    if (status !== 0) throw new Error(`openssl req failed: ${error?.message ?? stderr}`)
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
