// Refusals that several endpoints share. Not listed with any: 400, 414, 415, 417, 431 and 501 for what is not
// acceptable HTTP whatever its path, 405 for another method, 500 for a failure of our own.
import type { ParameterDescription, ResponseDescription } from './description.ts'

const challenge: ParameterDescription = {
  name: 'WWW-Authenticate',
  type: 'string',
  format: '<scheme> realm="<realm>", …',
  description: 'How to authenticate, and for what.',
}

/** Of everything but `/`. */
export const accessRefusals: readonly ResponseDescription[] = [
  {
    status: 401,
    description: 'Credentials are missing, or do not suffice for what was asked.',
    headers: [challenge],
    errorCodes: ['UNAUTHORIZED'],
  },
  {
    status: 403,
    description: 'The client is known, and may not do this.',
    errorCodes: ['DENIED'],
  },
]

/** Of everything in a repository. */
export const repositoryRefusals: readonly ResponseDescription[] = [
  ...accessRefusals,
  {
    status: 404,
    description: 'What the path has in the place of a repository name is none.',
    errorCodes: ['NAME_INVALID'],
  },
]

/** Of what a mirror may have to ask its upstream for. */
export const upstreamRefusal: ResponseDescription = {
  status: 503,
  description: 'The mirror has nothing stored, and its upstream gave no usable answer.',
  headers: [
    {
      name: 'Retry-After',
      type: 'integer',
      format: '<seconds>',
      description: 'Where the upstream named a time.',
    },
  ],
  errorCodes: ['UNAVAILABLE'],
}

export const badDigest: ResponseDescription = {
  status: 400,
  description: 'The path has a malformed digest, or one of an algorithm that is not supported.',
  errorCodes: ['DIGEST_INVALID'],
}

export const badPage: ResponseDescription = {
  status: 400,
  description: '`n` is not a number, negative, or larger than allowed.',
  errorCodes: ['PAGINATION_NUMBER_INVALID'],
}

export const conditionFailed: ResponseDescription = {
  status: 412,
  description: '`If-Match` does not hold.',
  errorCodes: ['UNSUPPORTED'],
}
