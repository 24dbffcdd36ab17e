// A client of S3 for scenarios: node s3-client.mjs <command> [ARGUMENT...], the server and the keys being in S3_URL,
// S3_ACCESS and S3_SECRET, the bucket in S3_BUCKET.
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'

const { S3_URL, S3_ACCESS, S3_SECRET, S3_BUCKET: Bucket } = process.env
const client = new S3Client({
  endpoint: S3_URL,
  region: 'us-east-1',
  forcePathStyle: true,
  credentials: { accessKeyId: S3_ACCESS, secretAccessKey: S3_SECRET },
})

const commands = {
  'make-bucket': () => client.send(new CreateBucketCommand({ Bucket })),
  /** Every key, one a line. */
  async keys(prefix = '') {
    for await (const key of keysBelow(prefix)) console.log(key)
  },
  /** Every object as a file below a directory. */
  async download(directory, prefix = '') {
    for await (const key of keysBelow(prefix)) {
      const file = path.join(directory, key)
      mkdirSync(path.dirname(file), { recursive: true })
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: key }))
      writeFileSync(file, await Body.transformToByteArray())
    }
  },
  /** `count` small objects below a prefix. */
  async fill(prefix, count) {
    const keys = Array.from({ length: Number(count) }, (_, i) => `${prefix}${i}`)
    for (let start = 0; start < keys.length; start += 50) {
      const some = keys.slice(start, start + 50)
      await Promise.all(some.map(Key => client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }))))
    }
  },
  'begin-upload': key => client.send(new CreateMultipartUploadCommand({ Bucket, Key: key })),
  /** The keys of all uploads that were begun and neither completed nor given up. */
  async uploads() {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }))
    for (const { Key } of Uploads) console.log(Key)
  },
}

async function* keysBelow(Prefix) {
  let ContinuationToken
  do {
    const page = await client.send(new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken }))
    for (const { Key } of page.Contents ?? []) yield Key
    ContinuationToken = page.NextContinuationToken
  } while (ContinuationToken !== undefined)
}

const [command, ...args] = process.argv.slice(2)
await commands[command](...args)
client.destroy()
