// Describes v2/base.ts.
import type { EndpointDescription } from './description.ts'
import { accessRefusals } from './refusals.ts'

export const aliveDescription: EndpointDescription = {
  resource: {
    entity: 'Probe',
    description: 'For load balancers and the like that want to know whether the server answers.',
  },
  summary: 'Tell that the server answers.',
  requests: [
    {
      description: 'No credentials are asked for, and `http.prefix` does not apply.',
      responses: [{ status: 200, description: 'It does. The body is empty.' }],
    },
  ],
}

export const baseDescription: EndpointDescription = {
  resource: {
    entity: 'Base',
    description:
      'Where clients begin: whether this is a registry with this API, and whether it wants credentials.',
  },
  summary: 'Check that the API is there and that the credentials are valid.',
  requests: [
    {
      description:
        'Wants valid credentials where authentication is configured, but no access to anything in particular.',
      responses: [
        {
          status: 200,
          description: 'The API is there, and the credentials, if any are needed, are valid.',
          body: { contentType: 'application/json', format: '{}' },
        },
        ...accessRefusals,
      ],
    },
  ],
}
