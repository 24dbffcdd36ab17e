// One registry as a recorded script speaks to it: requests by name, answers kept in a form that can be compared.
import { createHash } from 'node:crypto'
import http from 'node:http'

/** Headers that say nothing about a registry. */
const dropped = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding'])

export function createSession(baseUrl) {
  const base = new URL(baseUrl)
  const answers = new Map()

  /** `path` may be what a Location header said. Follows nothing. Settles with status, headers and body as they came. */
  async function send(name, { method = 'GET', path, headers = {}, body } = {}) {
    if (answers.has(name)) throw new Error(`two requests are called "${name}"`)
    const target = new URL(path, base)
    const answer = await exchange({
      method,
      host: base.hostname,
      port: base.port,
      path: target.pathname === '/' && path !== '/' ? path : rawPath(path, target),
      headers: { ...(body !== undefined && { 'content-length': String(body.length) }), ...headers },
      body,
      agent: false,
    }).catch(err => ({ status: `no answer: ${err.code ?? err.message}`, headers: {}, body: Buffer.alloc(0) }))
    answers.set(name, normalised(answer, base))
    return answer
  }

  return { send, answers, base }
}

/** As it was written: a URL object would clean up what the script means to be unclean. */
function rawPath(path, target) {
  return path.startsWith('/') ? path : target.pathname + target.search
}

function exchange({ body, ...options }) {
  return new Promise((resolve, reject) => {
    const request = http.request(options, response => {
      const chunks = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

function normalised({ status, headers, body }, base) {
  const kept = Object.entries(headers).filter(([name]) => !dropped.has(name))
  return {
    status,
    headers: Object.fromEntries(kept.map(([name, value]) => [name, withoutChance(String(value), base)])),
    body: bodyText(body, String(headers['content-type'] ?? ''), base),
  }
}

/** Ids, states and ports differ from run to run; everything else must not. */
function withoutChance(text, base) {
  return text
    .replaceAll(base.host, '<host>')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
    .replaceAll(/_state=[^&"]*/g, '_state=<state>')
    .replaceAll(/boundary=.*/g, 'boundary=<boundary>')
}

function bodyText(body, type, base) {
  if (body.length === 0) return ''
  const text = body.toString('latin1')
  if (type.startsWith('multipart/')) return `${body.length > 0 ? 'several parts' : ''}`
  if (/[^\t\n\r\x20-\x7e]/.test(text)) return `sha256:${createHash('sha256').update(body).digest('hex')}`
  return withoutChance(text, base)
}
