// Describes v2/catalog.ts.
import type { EndpointDescription } from './description.ts'
import { contentLength, nextPage, pageSize, pageStart } from './parameters.ts'
import { accessRefusals, badPage } from './refusals.ts'

export const catalogDescription: EndpointDescription = {
  resource: {
    entity: 'Catalog',
    description: 'The repositories of the registry; of a mirror, those that it has something of.',
  },
  summary: 'List repositories.',
  requests: [
    {
      description:
        'Repositories that hold a manifest, or did, in lexical order of their path components. Without `n`, 100 of them; `n` may not be larger than `catalog.maxentries` (1000).',
      query: [pageSize, pageStart],
      responses: [
        {
          status: 200,
          description: 'A page of names; an empty list behind the last.',
          headers: [contentLength, nextPage],
          body: { contentType: 'application/json', format: '{"repositories": ["<name>", …]}' },
        },
        badPage,
        ...accessRefusals,
      ],
    },
  ],
}
