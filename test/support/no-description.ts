// For endpoints that tests make up: nothing to say about them.
import type { EndpointDescription } from '../../lib/http/api/description.ts'

export const noDescription: EndpointDescription = {
  resource: { entity: '', description: '' },
  summary: '',
  requests: [{ description: '', responses: [] }],
}
