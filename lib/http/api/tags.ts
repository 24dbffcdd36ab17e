// Describes v2/tags.ts.
import type { EndpointDescription } from './description.ts'
import { contentLength, nextPage, pageSize, pageStart, warning } from './parameters.ts'
import { badPage, repositoryRefusals, upstreamRefusal } from './refusals.ts'

export const tagsDescription: EndpointDescription = {
  resource: { entity: 'Tags', description: 'The tags of a repository.' },
  summary: 'List tags.',
  requests: [
    {
      description:
        "Tags in lexical order: without `n`, all of them; a larger `n` than `tags.maxtags` (1000) is cut to that. Of a mirrored repository, the upstream's tags and those pushed here.",
      query: [pageSize, pageStart],
      responses: [
        {
          status: 200,
          description: 'A page of tags; an empty list behind the last.',
          headers: [contentLength, nextPage, warning],
          body: { contentType: 'application/json', format: '{"name": "<name>", "tags": ["<tag>", …]}' },
        },
        badPage,
        ...repositoryRefusals,
        {
          status: 404,
          description: 'The repository does not exist, or never had a tag.',
          errorCodes: ['NAME_UNKNOWN'],
        },
        upstreamRefusal,
      ],
    },
  ],
}
