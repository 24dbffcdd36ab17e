import t from 'tap'
import { s3Section } from '../../../../lib/storage/driver/s3/config.ts'

const least = { bucket: 'b', region: 'eu-central-1' }

void t.test('s3Section has the defaults of distribution', async t => {
  t.strictSame(s3Section.schema.parse(least), {
    credentials: undefined,
    region: 'eu-central-1',
    endpoint: undefined,
    isPathStyle: false,
    isVerified: true,
    bucket: 'b',
    rootdirectory: '',
    encryption: undefined,
    keyId: undefined,
    storageClass: 'STANDARD',
    acl: undefined,
    chunkBytes: 10 * 1024 * 1024,
    copy: { chunkBytes: 32 * 1024 * 1024, maxConcurrency: 100, thresholdBytes: 32 * 1024 * 1024 },
    isAccelerated: false,
    isDualStack: false,
    isFips: false,
    userAgent: undefined,
    isLogged: false,
    redirectEndpoint: undefined,
  })
})

void t.test('s3Section understands each parameter, booleans also as texts', async t => {
  const cases: readonly (readonly [given: object, parsed: object])[] = [
    [{ accesskey: 'a' }, { credentials: undefined }],
    [{ accesskey: 'a', secretkey: 's' }, { credentials: { accessKeyId: 'a', secretAccessKey: 's' } }],
    [{ regionendpoint: 'host.example' }, { endpoint: 'https://host.example', isPathStyle: false }],
    [{ regionendpoint: 'host.example/', secure: 'false' }, { endpoint: 'http://host.example' }],
    [{ regionendpoint: 'https://host.example', secure: false }, { endpoint: 'https://host.example' }],
    [{ regionendpoint: 'http://127.0.0.1:9000' }, { isPathStyle: true }],
    [{ regionendpoint: 'http://[::1]:9000' }, { isPathStyle: true }],
    [{ regionendpoint: 'localhost:9000' }, { isPathStyle: true }],
    [{ regionendpoint: 'minio:9000' }, { isPathStyle: true }],
    [{ regionendpoint: 'host.example', forcepathstyle: 'true' }, { isPathStyle: true }],
    [{ region: undefined, regionendpoint: 'host.example' }, { region: 'us-east-1' }],
    [{ region: 'anything', regionendpoint: 'host.example' }, { region: 'anything' }],
    [{ secure: false }, { endpoint: 'http://s3.eu-central-1.amazonaws.com' }],
    [{ skipverify: 'true' }, { isVerified: false }],
    [{ encrypt: 'true' }, { encryption: 'AES256' }],
    [
      { encrypt: true, keyid: 'k' },
      { encryption: 'aws:kms', keyId: 'k' },
    ],
    [{ keyid: 'k' }, { encryption: undefined, keyId: undefined }],
    [{ storageclass: 'standard_ia' }, { storageClass: 'STANDARD_IA' }],
    [{ storageclass: 'none' }, { storageClass: undefined }],
    [{ objectacl: 'bucket-owner-full-control' }, { acl: 'bucket-owner-full-control' }],
    [{ rootdirectory: '/a/b/' }, { rootdirectory: 'a/b' }],
    [{ chunksize: '5242880' }, { chunkBytes: 5_242_880 }],
    [{ loglevel: 'debugwithsigning' }, { isLogged: true }],
    [{ loglevel: 'whatever' }, { isLogged: false }],
    [{ redirectendpoint: 'https://cdn.example/' }, { redirectEndpoint: 'https://cdn.example' }],
    [{ v4auth: 'true' }, {}],
  ]
  for (const [given, parsed] of cases)
    t.match(s3Section.schema.parse({ ...least, ...given }), parsed, JSON.stringify(given))
})

void t.test('s3Section rejects what cannot work', async t => {
  const cases: readonly object[] = [
    { bucket: undefined },
    { bucket: '' },
    { region: undefined },
    { region: 'mars' },
    { regionendpoint: 'ftp://host' },
    { encrypt: 'maybe' },
    { chunksize: 5_242_879 },
    { chunksize: 5_368_709_121 },
    { chunksize: '10MB' },
    { multipartcopychunksize: 1 },
    { multipartcopymaxconcurrency: 0 },
    { multipartcopythresholdsize: 0 },
    { storageclass: 'COLD' },
    { objectacl: 'mine' },
    { redirectendpoint: 'https://cdn.example/path' },
    { redirectendpoint: 'cdn.example' },
    { v4auth: false },
    { bukcet: 'b' },
  ]
  for (const given of cases)
    t.equal(s3Section.schema.safeParse({ ...least, ...given }).success, false, JSON.stringify(given))
  t.match(
    s3Section.schema.safeParse({ ...least, v4auth: 'false' }).error?.message,
    /version 2 are not supported/,
  )
})
