// What webhooks are sent to: remembers what it got, and answers as a test says.
import http from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'

export interface ReceivedEvent {
  readonly id: string
  readonly timestamp: string
  readonly action: string
  readonly target: Readonly<Record<string, unknown>>
  readonly request: Readonly<Record<string, string>>
  readonly actor: Readonly<Record<string, string>>
  readonly source: Readonly<Record<string, string>>
}

export interface ReceivedRequest {
  readonly method: string
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** The status of the answer; undefined: none is given. With headers where there are any. */
type Answer = number | undefined | readonly [status: number, headers: Readonly<Record<string, string>>]

export async function startReceiver(t: Test, port = 0) {
  const requests: ReceivedRequest[] = []
  const receiver = {
    requests,
    answer: (_request: ReceivedRequest): Answer => 200,
    get events(): readonly ReceivedEvent[] {
      return requests.flatMap(({ body }) => (JSON.parse(body) as { events: ReceivedEvent[] }).events)
    },
    url: '',
    port: 0,
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
  const server = http.createServer((req, res) => {
    void text(req).then(body => {
      const { method = '', url = '', headers } = req
      const request = { method, url, headers, body }
      requests.push(request)
      const answer = receiver.answer(request)
      if (answer === undefined) return
      const [status, more] = typeof answer === 'number' ? [answer, {}] : answer
      res.writeHead(status, more).end()
    })
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  t.teardown(() => receiver.stop())
  receiver.port = (server.address() as AddressInfo).port
  receiver.url = `http://127.0.0.1:${receiver.port}`
  return receiver
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>
