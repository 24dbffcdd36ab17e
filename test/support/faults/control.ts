// The control endpoint: faults are changed and statistics read over HTTP while the upstream runs.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { FaultsConfig } from './schema.ts'
import type { FaultStats } from './stats.ts'

export interface Controls {
  /** Replaces all faults; their counts begin anew. Rejects with a TypeError that says what is wrong with them. */
  set(faults: unknown): Promise<void>
  /** The faults as they were set. */
  faults(): FaultsConfig
  stats(): FaultStats
  /** Statistics begin at nothing again; faults stay. */
  reset(): void
}

const maxBytes = 1024 * 1024

/** Answers `GET /faults`, `PUT /faults`, `GET /stats` and `POST /stats/reset`. */
export async function answerControl(
  req: IncomingMessage,
  res: ServerResponse,
  controls: Controls,
): Promise<void> {
  switch (`${req.method} ${req.url}`) {
    case 'GET /faults':
      return sendJson(res, 200, controls.faults())
    case 'GET /stats':
      return sendJson(res, 200, controls.stats())
    case 'POST /stats/reset':
      controls.reset()
      return sendJson(res, 200, {})
    case 'PUT /faults':
      return await putFaults(req, res, controls)
    default:
      return sendJson(res, 404, { error: 'There are /faults, /stats and /stats/reset' })
  }
}

async function putFaults(req: IncomingMessage, res: ServerResponse, controls: Controls): Promise<void> {
  if (!(Number(req.headers['content-length']) <= maxBytes)) {
    return sendJson(res, 411, { error: `Content-Length has to be there, and at most ${maxBytes}` })
  }
  try {
    await controls.set(JSON.parse(await text(req)))
  } catch (err) {
    if (!(err instanceof TypeError || err instanceof SyntaxError)) throw err
    return sendJson(res, 400, { error: err.message })
  }
  sendJson(res, 200, controls.faults())
}

function sendJson(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
}
