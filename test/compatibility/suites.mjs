// The recorded scripts, and the configuration that each is for.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  createSigner,
  htpasswd,
  runHtpasswd,
  runPrefixed,
  runReadOnly,
  runSilly,
  runToken,
} from './access-scripts.mjs'
import { runOpen } from './open-script.mjs'

const signer = makeSigner()
const withHttp = (http, maintenance = 'uploadpurging: {enabled: false}') => `version: 0.1
log: {level: error, accesslog: {disabled: true}}
http: {secret: golden${http}}
storage:
  filesystem: {rootdirectory: /nowhere}
  delete: {enabled: true}
  maintenance: {${maintenance}}
`
const common = withHttp('')

export const suites = [
  { name: 'open', configuration: common, run: runOpen },
  {
    name: 'htpasswd',
    configuration: `${common}auth: {htpasswd: {realm: golden realm, path: $DIR/htpasswd}}\n`,
    files: { htpasswd },
    run: runHtpasswd,
  },
  {
    name: 'token',
    configuration: `${common}auth:
  token:
    realm: https://auth.example.com/token
    service: golden-service
    issuer: golden-issuer
    rootcertbundle: $DIR/bundle.pem\n`,
    files: { 'bundle.pem': signer.certificate },
    run: runToken(createSigner(signer)),
  },
  {
    name: 'silly',
    configuration: `${common}auth: {silly: {realm: golden realm, service: golden-service}}\n`,
    run: runSilly,
  },
  {
    name: 'read-only',
    configuration: withHttp('', 'uploadpurging: {enabled: false}, readonly: {enabled: true}'),
    run: runReadOnly,
  },
  { name: 'prefix', configuration: withHttp(', prefix: /my/reg/'), run: runPrefixed },
  {
    name: 'relative URLs',
    configuration: withHttp(', prefix: /my/reg/, relativeurls: true'),
    run: runPrefixed,
  },
  { name: 'host', configuration: withHttp(', host: "https://there.example.com"'), run: runReadOnly },
]

/** A certificate of a token server, and its key. */
function makeSigner() {
  const directory = mkdtempSync(path.join(tmpdir(), 'entrepot-signer-'))
  try {
    execFileSync(
      'openssl',
      [
        ...[
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-nodes',
          '-days',
          '2',
        ],
        ...['-subj', '/CN=golden', '-keyout', 'key.pem', '-out', 'bundle.pem'],
      ],
      { cwd: directory, stdio: 'pipe' },
    )
    const read = name => readFileSync(path.join(directory, name), 'utf8')
    return { key: read('key.pem'), certificate: read('bundle.pem') }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
