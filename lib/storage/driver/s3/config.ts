// The parameters of the S3 driver, as distribution has them below `storage.s3`.
import { isIP } from 'node:net'
import {
  choice,
  flag,
  integer,
  optional,
  orNothing,
  piece,
  secret,
  section,
  text,
} from '../../../config/schema.ts'
import type { Section } from '../../../config/schema.ts'

export interface S3Config {
  /** Undefined: whatever the chain of the SDK finds. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined
  readonly region: string
  /** The server's URL; undefined: that of AWS. */
  readonly endpoint: string | undefined
  readonly isPathStyle: boolean
  readonly isVerified: boolean
  readonly bucket: string
  /** The prefix of all keys, without slashes around it. */
  readonly rootdirectory: string
  readonly encryption: 'AES256' | 'aws:kms' | undefined
  readonly keyId: string | undefined
  readonly storageClass: StorageClass | undefined
  readonly acl: Acl | undefined
  readonly chunkBytes: number
  readonly copy: {
    readonly chunkBytes: number
    readonly maxConcurrency: number
    /** What is larger is copied in chunks. */
    readonly thresholdBytes: number
  }
  readonly isAccelerated: boolean
  readonly isDualStack: boolean
  readonly isFips: boolean
  readonly userAgent: string | undefined
  readonly isLogged: boolean
  /** The scheme and host of the URLs that clients are sent to. */
  readonly redirectEndpoint: string | undefined
}

const storageClasses = [
  'standard',
  'reduced_redundancy',
  'standard_ia',
  'onezone_ia',
  'intelligent_tiering',
  'outposts',
  'glacier_ir',
  'express_onezone',
] as const
export type StorageClass = Uppercase<(typeof storageClasses)[number]>

const acls = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
] as const
export type Acl = (typeof acls)[number]

const logLevels = [
  '',
  'off',
  'debug',
  'debugwithsigning',
  'debugwithhttpbody',
  'debugwithrequestretries',
  'debugwithrequesterrors',
  'debugwitheventstreambody',
] as const
const mebibyte = 1024 * 1024
const smallestPart = 5 * mebibyte
const largestPart = 5 * 1024 * mebibyte

const partSize = piece(
  'a number of bytes from 5242880 (5 MiB) to 5368709120 (5 GiB)',
  input => {
    const bytes = /^\d+$/.test(String(input)) ? Number(input) : NaN
    return bytes >= smallestPart && bytes <= largestPart ? bytes : undefined
  },
  { kind: { is: 'integer', least: smallestPart } },
)
const wholePart = integer(1).refine(bytes => bytes <= largestPart, 'at most 5368709120 bytes (5 GiB)')
const bucketName = piece('the name of a bucket', input =>
  typeof input === 'string' && /^[A-Za-z0-9][A-Za-z0-9._:/-]*$/.test(input) ? input : undefined,
)
const endpoint = piece('a host or a URL', input => {
  const written = typeof input === 'string' ? input.replace(/\/+$/, '') : ''
  const url = /^[a-z]+:\/\//i.test(written) ? written : `https://${written}`
  return /^https?:\/\//i.test(url) && URL.canParse(url) ? written : undefined
})
const redirectEndpoint = piece('a URL of scheme and host alone', input => {
  const written = typeof input === 'string' && URL.canParse(input) ? new URL(input) : undefined
  const isPlain = written?.pathname === '/' && written.search === '' && written.username === ''
  return isPlain && /^https?:$/.test(written.protocol) ? written.origin : undefined
})
const signed = piece(
  'true: signatures of version 2 are not supported, and AWS refuses them',
  input => (flag.safeParse(input).data === true ? true : undefined),
  { kind: { is: 'flag' } },
)

/** `storage.s3` and `storage.s3aws`; the defaults are distribution's. */
export const s3Section: Section<S3Config> = {
  schema: section({
    accesskey: orNothing(secret),
    secretkey: orNothing(secret),
    region: orNothing(text),
    regionendpoint: orNothing(endpoint),
    forcepathstyle: optional(flag, false),
    bucket: bucketName,
    encrypt: optional(flag, false),
    keyid: orNothing(text),
    secure: optional(flag, true),
    skipverify: optional(flag, false),
    v4auth: optional(signed, true),
    chunksize: optional(partSize, 10 * mebibyte),
    multipartcopychunksize: optional(partSize, 32 * mebibyte),
    multipartcopymaxconcurrency: optional(integer(1), 100),
    multipartcopythresholdsize: optional(wholePart, 32 * mebibyte),
    rootdirectory: optional(text, ''),
    storageclass: optional(choice('none', ...storageClasses), 'standard'),
    objectacl: optional(choice(...acls), 'private'),
    useragent: orNothing(text),
    usedualstack: optional(flag, false),
    accelerate: optional(flag, false),
    usefipsendpoint: optional(flag, false),
    loglevel: optional(logLevel(), 'off'),
    redirectendpoint: orNothing(redirectEndpoint),
  }).transform((given, context): S3Config => {
    if (given.region === undefined && given.regionendpoint === undefined)
      context.issues.push({
        code: 'custom',
        message: 'a region, such as eu-central-1',
        input: undefined,
        path: ['region'],
      })
    else if (given.regionendpoint === undefined && !/^[a-z]{2,}(?:-[a-z]+)+-\d+$/.test(given.region ?? ''))
      context.issues.push({
        code: 'custom',
        message: 'a region of AWS, such as eu-central-1',
        input: given.region,
        path: ['region'],
      })
    return toConfig(given)
  }),
}

// What distribution does not know counts as off there.
function logLevel() {
  return piece(
    `one of ${logLevels.filter(level => level !== '').join(', ')}`,
    input => logLevels.find(level => level === String(input).toLowerCase()) ?? 'off',
    { kind: { is: 'choice', words: logLevels } },
  )
}

interface Given {
  readonly accesskey: string | undefined
  readonly secretkey: string | undefined
  readonly region: string | undefined
  readonly regionendpoint: string | undefined
  readonly forcepathstyle: boolean
  readonly bucket: string
  readonly encrypt: boolean
  readonly keyid: string | undefined
  readonly secure: boolean
  readonly skipverify: boolean
  readonly chunksize: number
  readonly multipartcopychunksize: number
  readonly multipartcopymaxconcurrency: number
  readonly multipartcopythresholdsize: number
  readonly rootdirectory: string
  readonly storageclass: 'none' | Lowercase<StorageClass>
  readonly objectacl: Acl
  readonly useragent: string | undefined
  readonly usedualstack: boolean
  readonly accelerate: boolean
  readonly usefipsendpoint: boolean
  readonly loglevel: string
  readonly redirectendpoint: string | undefined
}

function toConfig(given: Given): S3Config {
  const { accesskey, secretkey, regionendpoint, secure } = given
  const url = regionendpoint === undefined ? undefined : withScheme(regionendpoint, secure)
  return {
    credentials:
      accesskey === undefined || secretkey === undefined
        ? undefined
        : { accessKeyId: accesskey, secretAccessKey: secretkey },
    region: given.region ?? 'us-east-1',
    // Without `secure` the SDK has to be told AWS's own host, too, or it goes by https.
    endpoint: url ?? (secure ? undefined : `http://s3.${given.region}.amazonaws.com`),
    isPathStyle: given.forcepathstyle || (url !== undefined && isAddress(new URL(url).hostname)),
    isVerified: !given.skipverify,
    bucket: given.bucket,
    rootdirectory: given.rootdirectory.replace(/^\/+|\/+$/g, ''),
    encryption: given.encrypt ? (given.keyid === undefined ? 'AES256' : 'aws:kms') : undefined,
    keyId: given.encrypt ? given.keyid : undefined,
    storageClass:
      given.storageclass === 'none' ? undefined : (given.storageclass.toUpperCase() as StorageClass),
    // Private is what an object is anyway, and buckets without ACLs refuse to be told.
    acl: given.objectacl === 'private' ? undefined : given.objectacl,
    chunkBytes: given.chunksize,
    copy: {
      chunkBytes: given.multipartcopychunksize,
      maxConcurrency: given.multipartcopymaxconcurrency,
      thresholdBytes: given.multipartcopythresholdsize,
    },
    isAccelerated: given.accelerate,
    isDualStack: given.usedualstack,
    isFips: given.usefipsendpoint,
    userAgent: given.useragent,
    isLogged: !['', 'off'].includes(given.loglevel),
    redirectEndpoint: given.redirectendpoint,
  }
}

function withScheme(written: string, isSecure: boolean): string {
  return /^https?:\/\//i.test(written) ? written : `${isSecure ? 'https' : 'http'}://${written}`
}

/** A bucket cannot be put before these as a part of the host's name. */
function isAddress(host: string): boolean {
  return isIP(host.replace(/^\[|\]$/g, '')) !== 0 || host === 'localhost' || !host.includes('.')
}
