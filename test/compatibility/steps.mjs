// What the recorded scripts have in common: pushes, and conditions of requests.
import * as content from './content.mjs'

export const octets = { 'content-type': 'application/octet-stream' }

export async function pushBlob(send, name, repository, { bytes, digest }, headers = {}) {
  const started = await send(`${name}: start`, {
    method: 'POST',
    path: `/v2/${repository}/blobs/uploads/`,
    headers,
  })
  if (started.status !== 202) return started
  return send(`${name}: finish`, {
    method: 'PUT',
    path: withDigest(started.headers.location, digest),
    headers: { ...octets, ...headers },
    body: bytes,
  })
}

export const withDigest = (location, digest) =>
  `${pathOf(location)}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`

export const pathOf = location => {
  const { pathname, search } = new URL(location, 'http://there')
  return pathname + search
}

export const conditions = digest => ({
  'If-None-Match of its own': { 'if-none-match': `"${digest}"` },
  'If-None-Match without quotes': { 'if-none-match': digest },
  'If-None-Match weak': { 'if-none-match': `W/"${digest}"` },
  'If-None-Match of a list': { 'if-none-match': `"x", "${digest}"` },
  'If-None-Match of anything': { 'if-none-match': '*' },
  'If-None-Match of another': { 'if-none-match': `"${content.absent}"` },
  'If-Match of its own': { 'if-match': `"${digest}"` },
  'If-Match of another': { 'if-match': `"${content.absent}"` },
  'If-Modified-Since': { 'if-modified-since': 'Tue, 24 Nov 2026 08:54:36 GMT' },
})

export async function putManifest(send, name, reference, { bytes }, type, repository = 'team/app') {
  return send(name, {
    method: 'PUT',
    path: `/v2/${repository}/manifests/${reference}`,
    headers: { 'content-type': type },
    body: bytes,
  })
}
