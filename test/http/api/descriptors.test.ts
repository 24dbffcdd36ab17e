import t from 'tap'
import { describeApi } from '../../../lib/http/api/descriptors.ts'
import type { EndpointDescription } from '../../../lib/http/api/description.ts'
import type { Endpoint } from '../../../lib/http/endpoint.ts'
import { errorCodes } from '../../../lib/oci/errors.ts'
import { noDescription } from '../../support/no-description.ts'

const described: EndpointDescription = {
  resource: { entity: 'Thing', description: 'What it is.' },
  summary: 'Fetch it.',
  requests: [
    {
      name: 'Whole',
      description: 'All of it.',
      headers: [{ name: 'Range', type: 'string', format: '<range>', description: 'Which part.' }],
      query: [
        {
          name: 'n',
          type: 'integer',
          format: '<n>',
          description: 'How many.',
          required: true,
          examples: ['1'],
        },
      ],
      body: { contentType: 'text/plain', format: '<question>' },
      responses: [
        { status: 200, description: 'Here.', body: { contentType: 'text/plain', format: '<thing>' } },
        { status: 409, description: 'Not now.', errorCodes: ['DENIED'] },
        { status: 404, description: 'Not there.', errorCodes: ['BLOB_UNKNOWN', 'NAME_UNKNOWN'] },
      ],
    },
  ],
}

function endpoint(
  method: Endpoint['method'],
  path: `/v2/*name/${string}`,
  describe: EndpointDescription,
): Endpoint {
  return { name: 'thing', method, path, describe, access: () => [], handle: async () => {} }
}

const path = '/v2/*name/things/:digest'

t.test('describeApi() rejects a path parameter of which nothing is said', async t => {
  t.throws(() => describeApi([endpoint('GET', '/v2/*name/things/:nonsense', noDescription)]), {
    message: 'Cannot describe "/v2/*name/things/:nonsense": nothing is said of "nonsense"',
  })
})

t.test('describeApi() makes one route of the methods of a path, and HEAD of GET', async t => {
  const { RouteDescriptors: routes } = describeApi([
    endpoint('GET', path, described),
    endpoint('PUT', '/v2/*name/tags/list', noDescription),
    endpoint('DELETE', path, { ...noDescription, summary: 'Delete it.' }),
  ])

  t.equal(routes.length, 2)
  t.match(routes[0], {
    Name: 'thing',
    Path: /^\/v2\/{name:\S+}\/things\/{digest:\S+}$/,
    Entity: 'Thing',
    Description: 'What it is.',
    Methods: [
      { Method: 'GET', Description: 'Fetch it.' },
      { Method: 'HEAD', Requests: [{ Successes: [{ Body: { ContentType: '', Format: '' } }] }] },
      { Method: 'DELETE', Description: 'Delete it.' },
    ],
  })
})

t.test('describeApi() describes a request with all its parameters and answers', async t => {
  const [request] =
    describeApi([endpoint('PATCH', path, described)]).RouteDescriptors[0]?.Methods[0]?.Requests ?? []
  const none = { Regexp: '', Required: false, Examples: [] }

  t.match(request?.PathParameters, [
    { Name: 'name', Required: true, Examples: ['library/alpine'] },
    { Name: 'digest', Type: 'digest', Format: '<digest>' },
  ])
  t.same(request?.Headers, [
    { ...none, Name: 'Range', Type: 'string', Description: 'Which part.', Format: '<range>' },
  ])
  t.match(request?.QueryParameters, [{ Name: 'n', Required: true, Examples: ['1'] }])
  t.match(request, { Name: 'Whole', Description: 'All of it.', Body: { ContentType: 'text/plain' } })
  t.match(request?.Successes, [{ StatusCode: 200, Body: { Format: '<thing>' }, ErrorCodes: [] }])
  t.match(request?.Failures, [
    { StatusCode: 409, Body: { ContentType: 'application/json' } },
    {
      StatusCode: 404,
      Description: 'Not there.',
      ErrorCodes: [{ Descriptor: { Value: 'BLOB_UNKNOWN' } }, { Descriptor: { Value: 'NAME_UNKNOWN' } }],
    },
  ])
})

t.test('describeApi() describes every error code once, with every status that it may have', async t => {
  const { ErrorDescriptors: errors } = describeApi([endpoint('GET', path, described)])

  t.same(
    errors.map(error => error.Value),
    Object.keys(errorCodes).sort(),
  )
  t.same(
    errors.find(error => error.Value === 'DENIED'),
    {
      Value: 'DENIED',
      Message: errorCodes.DENIED.message,
      Description: errorCodes.DENIED.description,
      HTTPStatusCode: 403,
      HTTPStatusCodes: [403, 409],
    },
  )
})
