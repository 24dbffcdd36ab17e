// Certificates for one test, made by openssl where there is one.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import type { Test } from 'tap'

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** An authority, a server of `hosts` and a client that it has signed; undefined where there is no openssl. */
export function makeCertificates(t: Test, hosts: readonly string[]) {
  const dir = t.testdir({})
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const read = (name: string): Certificate => ({
    cert: fs.readFileSync(`${dir}/${name}.pem`, 'utf8'),
    key: fs.readFileSync(`${dir}/${name}.key`, 'utf8'),
  })
  const sign = (name: string, subject: string, extension: string): Certificate => {
    fs.writeFileSync(`${dir}/${name}.ext`, extension)
    openssl('req', ...newKey, '-subj', subject, '-keyout', `${name}.key`, '-out', `${name}.csr`)
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.pem`],
    )
    return read(name)
  }
  try {
    openssl('version')
  } catch {
    return undefined
  }
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/CN=Test CA',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
  )
  const names = hosts.map(host => (/^[\d.]+$/.test(host) ? `IP:${host}` : `DNS:${host}`))
  return {
    ca: read('ca').cert,
    server: sign('server', '/CN=server', `subjectAltName=${names.join(',')}`),
    client: sign('client', '/CN=entrepot', 'extendedKeyUsage=clientAuth'),
  }
}
