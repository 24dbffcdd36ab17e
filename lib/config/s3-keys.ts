// What the parameters of the S3 driver mean, as keys.ts has it for the rest; they have two places.
import type { KeyTable } from './keys.ts'

export function s3Keys(section: string): KeyTable {
  return Object.fromEntries(Object.entries(parameters).map(([name, key]) => [`${section}.${name}`, key]))
}

const parameters: KeyTable = {
  accesskey: 'Access key; without both keys, whatever the SDK of AWS finds.',
  secretkey: 'Secret key.',
  region: 'Region; may be left out with regionendpoint.',
  regionendpoint: 'Host or URL of a server that is not AWS.',
  forcepathstyle: ['Whether the bucket is in the path, not in the host; always so for an address.', false],
  bucket: 'Bucket; it must exist.',
  encrypt: ['Whether objects are encrypted by the server.', false],
  keyid: 'Key in KMS that they are encrypted with.',
  secure: ['Whether https is spoken, where regionendpoint does not say.', true],
  skipverify: ["Whether the server's certificate is not checked.", false],
  v4auth: ['Whether signatures are of version 4; false is refused.', true],
  chunksize: ['Bytes of a part of a large upload, 5 MiB at least; two are in memory.', 10_485_760],
  multipartcopychunksize: ['Bytes of a part of a large copy.', 33_554_432],
  multipartcopymaxconcurrency: ['Parts that are copied at a time.', 100],
  multipartcopythresholdsize: ['Objects up to this are copied in one piece.', 33_554_432],
  rootdirectory: ['Prefix of all keys.', ''],
  storageclass: ['Storage class of objects; none: that of the bucket.', 'standard'],
  objectacl: ['Canned ACL of objects.', 'private'],
  useragent: 'Added to the User-Agent.',
  usedualstack: ['Whether the endpoints with IPv6 are used.', false],
  accelerate: ['Whether transfer acceleration is used.', false],
  usefipsendpoint: ['Whether the FIPS endpoints are used.', false],
  loglevel: ['Whether calls are logged: off, or debug for a line each.', 'off'],
  redirectendpoint: 'Scheme and host that clients are sent to.',
}
