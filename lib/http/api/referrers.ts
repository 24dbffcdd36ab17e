// Describes v2/referrers.ts.
import type { EndpointDescription } from './description.ts'
import { contentLength, nextPage, pageSize, pageStart, warning } from './parameters.ts'
import { badDigest, badPage, repositoryRefusals, upstreamRefusal } from './refusals.ts'

export const referrersDescription: EndpointDescription = {
  resource: {
    entity: 'Referrers',
    description:
      'The manifests whose `subject` is a digest: signatures, bills of materials and other things attached to an image.',
  },
  summary: 'List what refers to a digest.',
  requests: [
    {
      description:
        'Complete whether the subject or its referrers came first, or the subject is not there at all. What clients have listed under the tag `<algorithm>-<hex>` is merged in; a mirror adds what its upstream knows.',
      query: [
        {
          name: 'artifactType',
          type: 'media type',
          format: '<media type>',
          description: 'List only referrers of this artifact type.',
        },
        { ...pageSize, description: 'How many entries to list at most; 1000 if it is absent or larger.' },
        pageStart,
      ],
      responses: [
        {
          status: 200,
          description: 'An index of descriptors; an empty one where nothing refers to the digest.',
          headers: [
            contentLength,
            {
              name: 'OCI-Filters-Applied',
              type: 'string',
              format: 'artifactType',
              description: 'The list was filtered.',
            },
            nextPage,
            warning,
          ],
          body: {
            contentType: 'application/vnd.oci.image.index.v1+json',
            format: `{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.index.v1+json",
  "manifests": [
    {
      "mediaType": "<media type>",
      "digest": "<digest>",
      "size": <size>,
      "artifactType": "<media type>",
      "annotations": {"<key>": "<value>", …}
    },
    …
  ]
}`,
          },
        },
        badDigest,
        badPage,
        ...repositoryRefusals,
        upstreamRefusal,
      ],
    },
  ],
}
