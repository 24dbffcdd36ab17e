// Parameters and headers that several endpoints share.
import type { ParameterDescription } from './description.ts'

/** A parameter of a path: its grammar is what distinguishes one from another in routers that have regular expressions. */
export interface PathParameterDescription extends ParameterDescription {
  readonly regexp: string
}

const digestGrammar = '[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+'

/** By the name that stands in an endpoint's path behind `*` or `:`. */
export const pathParameters: Readonly<Record<string, PathParameterDescription>> = {
  name: {
    name: 'name',
    type: 'string',
    format: '<name>',
    description:
      'Name of the repository: components of lower-case letters and digits, with `.`, `_`, `__` or hyphens between them, joined by `/`; at most 255 characters.',
    required: true,
    regexp: '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*',
    examples: ['library/alpine'],
  },
  reference: {
    name: 'reference',
    type: 'string',
    format: '<reference>',
    description:
      'A tag, of at most 128 letters, digits, `_`, `.` and `-` (the first neither `.` nor `-`), or the digest of the manifest.',
    required: true,
    regexp: `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|${digestGrammar}`,
    examples: ['latest'],
  },
  digest: {
    name: 'digest',
    type: 'digest',
    format: '<digest>',
    description:
      'Digest of the content: `sha256:` and 64, or `sha512:` and 128 lower-case hexadecimal digits.',
    required: true,
    regexp: digestGrammar,
  },
  id: {
    name: 'id',
    type: 'string',
    format: '<id>',
    description:
      'Name of the upload session. Clients take it from `Location` as it is and never make one up.',
    required: true,
    regexp: '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}',
  },
}

export const contentDigest: ParameterDescription = {
  name: 'Docker-Content-Digest',
  type: 'digest',
  format: '<digest>',
  description: 'Digest of the content, which clients should verify it by.',
}

export const contentLength: ParameterDescription = {
  name: 'Content-Length',
  type: 'integer',
  format: '<length>',
  description: 'Bytes of the body.',
}

export const entityTag: ParameterDescription = {
  name: 'ETag',
  type: 'string',
  format: '"<digest>"',
  description: 'The digest between quotes, for `If-None-Match`.',
}

export const ifNoneMatch: ParameterDescription = {
  name: 'If-None-Match',
  type: 'string',
  format: '"<digest>"',
  description:
    'Entity tags that the client has the content of: 304 if the digest is among them. Lists, weak tags, `*` and bare digests are understood.',
}

export const ifMatch: ParameterDescription = {
  name: 'If-Match',
  type: 'string',
  format: '"<digest>"',
  description: 'Entity tags of which the content must have one: otherwise 412.',
}

export const warning: ParameterDescription = {
  name: 'Warning',
  type: 'string',
  format: '299 - "stale: <reason>"',
  description: 'Only of a mirror that could not ask its upstream and gives what it has.',
}

export const pageSize: ParameterDescription = {
  name: 'n',
  type: 'integer',
  format: '<integer>',
  description: 'How many entries to list at most.',
}

export const pageStart: ParameterDescription = {
  name: 'last',
  type: 'string',
  format: '<last>',
  description:
    'The entry after which the list goes on; it need not exist. Clients follow `Link` instead of making it.',
}

export const nextPage: ParameterDescription = {
  name: 'Link',
  type: 'URL',
  format: '<<path>?last=<last>&n=<integer>>; rel="next"',
  description: 'Where the next page is, relative to this one. There is none after the last page.',
}
