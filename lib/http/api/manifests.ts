// Describes v2/manifests.ts.
import type { BodyDescription, EndpointDescription, ResourceDescription } from './description.ts'
import { contentDigest, contentLength, entityTag, ifMatch, ifNoneMatch, warning } from './parameters.ts'
import { badDigest, conditionFailed, repositoryRefusals, upstreamRefusal } from './refusals.ts'

const manifest: ResourceDescription = {
  entity: 'Manifest',
  description:
    'A manifest or index by its digest or by a tag. It is kept and given out byte for byte as it was pushed.',
}

const body: BodyDescription = { contentType: '<media type of the manifest>', format: '<manifest>' }

const unknown = {
  status: 404,
  description: 'The repository has no such tag, or no manifest of this digest.',
  errorCodes: ['MANIFEST_UNKNOWN'],
} as const

export const getManifestDescription: EndpointDescription = {
  resource: manifest,
  summary: 'Fetch a manifest.',
  requests: [
    {
      description:
        'What is stored is served as it is, whatever `Accept` says: converting it would change its digest. A mirror asks its upstream whether a tag has moved; if it cannot, it serves what it has, with a `Warning`.',
      headers: [ifNoneMatch, ifMatch],
      responses: [
        {
          status: 200,
          description: 'The manifest.',
          headers: [contentLength, contentDigest, entityTag, warning],
          body,
        },
        {
          status: 304,
          description: 'The client has the manifest, as `If-None-Match` says.',
          headers: [contentDigest, entityTag, warning],
        },
        badDigest,
        ...repositoryRefusals,
        unknown,
        conditionFailed,
        upstreamRefusal,
      ],
    },
  ],
}

export const putManifestDescription: EndpointDescription = {
  resource: manifest,
  summary: 'Push a manifest.',
  requests: [
    {
      description:
        'Under a tag, which is moved to it, or under its digest. What a manifest refers to must be in the repository before it; its `subject` need not. `Content-Type` is the media type of the manifest, and the same as its `mediaType` where it has one; manifests of types that the registry does not know are taken if they have.',
      query: [
        {
          name: 'tag',
          type: 'string',
          format: '<tag>',
          description: 'A further tag to move to the manifest. May be repeated, up to 64 tags.',
        },
      ],
      body,
      responses: [
        {
          status: 201,
          description: 'The manifest is stored.',
          headers: [
            {
              name: 'Location',
              type: 'URL',
              format: '<url>',
              description: 'Where the manifest is, by its digest.',
            },
            contentDigest,
            {
              name: 'OCI-Subject',
              type: 'digest',
              format: '<digest>',
              description:
                'The `subject` of the manifest, which is among its referrers now: clients need not list it under a tag.',
            },
            {
              name: 'OCI-Tag',
              type: 'string',
              format: '<tag>',
              description: 'A tag of `tag` parameters; the header is repeated for each.',
            },
          ],
        },
        {
          status: 400,
          description:
            'The manifest is malformed or not allowed; it refers to blobs or manifests that the repository does not have, with one error for each; the reference is neither a tag nor a digest, or not the digest of the content.',
          errorCodes: ['MANIFEST_INVALID', 'MANIFEST_BLOB_UNKNOWN', 'DIGEST_INVALID', 'TAG_INVALID'],
        },
        ...repositoryRefusals,
        {
          status: 405,
          description: 'The registry is read-only.',
          errorCodes: ['UNSUPPORTED'],
        },
        {
          status: 409,
          description: 'A tag is immutable and points to something else.',
          errorCodes: ['DENIED'],
        },
        {
          status: 413,
          description: 'The manifest has more than 4 MiB.',
          errorCodes: ['MANIFEST_INVALID'],
        },
        {
          status: 414,
          description: 'There are more than 64 different `tag` parameters.',
          errorCodes: ['TAG_INVALID'],
        },
      ],
    },
  ],
}

export const deleteManifestDescription: EndpointDescription = {
  resource: manifest,
  summary: 'Delete a tag, or a manifest and all its tags.',
  requests: [
    {
      name: 'By tag',
      description: 'Removes the tag and leaves the manifest, which has its digest still.',
      responses: [
        { status: 202, description: 'There is no such tag any more.' },
        ...repositoryRefusals,
        unknown,
        {
          status: 405,
          description: 'Deleting is not enabled (`storage.delete.enabled`), or the registry is read-only.',
          errorCodes: ['UNSUPPORTED'],
        },
        {
          status: 409,
          description: 'The tag is immutable.',
          errorCodes: ['DENIED'],
        },
      ],
    },
    {
      name: 'By digest',
      description: 'Removes the manifest from the repository, and every tag that points to it.',
      responses: [
        { status: 202, description: 'The repository does not have the manifest any more.' },
        badDigest,
        ...repositoryRefusals,
        unknown,
        {
          status: 405,
          description: 'Deleting is not enabled (`storage.delete.enabled`), or the registry is read-only.',
          errorCodes: ['UNSUPPORTED'],
        },
        {
          status: 409,
          description: 'An immutable tag points to the manifest.',
          errorCodes: ['DENIED'],
        },
      ],
    },
  ],
}
