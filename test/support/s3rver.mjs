// s3rver, an S3 server in Node, mended where a real one does right: it answers a PUT before the object is written, and
// writes over the old one under the eyes of its readers; it takes `bytes=0-0` for the whole object; and it fails where a
// list has more than one page, so that here no list has.
// As a program: node test/support/s3rver.mjs <directory> <port> <bucket> (the keys: distribution, password).
import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import S3rver from 's3rver'
import AWSAccount from 's3rver/lib/models/account.js'

/** Listens on 127.0.0.1; settles with the port and what stops it. */
export async function startS3rver(directory, bucket, port = 0) {
  const server = new S3rver({
    address: '127.0.0.1',
    port,
    silent: true,
    directory,
    configureBuckets: [{ name: bucket }],
  })
  mend(server.store)
  AWSAccount.registry.get('S3RVER').createKeyPair('distribution', 'password')
  const address = await server.run()
  return {
    port: address.port,
    close: () => {
      server.httpServer.closeAllConnections()
      return server.close()
    },
  }
}

function mend(store) {
  const getObject = store.getObject.bind(store)
  const listObjects = store.listObjects.bind(store)

  store.listObjects = (bucket, options) => listObjects(bucket, { ...options, maxKeys: Infinity })

  store.putObject = async object => {
    const file = store.getResourcePath(object.bucket, object.key, 'object')
    const temporary = path.join(store.rootDirectory, `.${randomUUID()}`)
    const hash = createHash('md5')
    let size = 0
    const content = Buffer.isBuffer(object.content) ? Readable.from([object.content]) : object.content
    await pipeline(
      content,
      async function* (chunks) {
        for await (const chunk of chunks) {
          hash.update(chunk)
          size += chunk.length
          yield chunk
        }
      },
      createWriteStream(temporary),
    )
    await mkdir(path.dirname(file), { recursive: true })
    await rename(temporary, file)
    const md5 = hash.digest('hex')
    await store.putMetadata(object.bucket, object.key, object.metadata, md5)
    return { size, md5 }
  }

  store.getObject = async (bucket, key, options) => {
    if (options?.end !== 0) return getObject(bucket, key, options)
    const object = await getObject(bucket, key, { ...options, end: 1 })
    if (!object?.content) return object
    const { content } = object
    object.content = Readable.from(first(content))
    object.range.end = 0
    return object
  }
}

async function* first(content) {
  for await (const chunk of content) {
    yield chunk.subarray(0, 1)
    return
  }
}

if (process.argv[1] === import.meta.filename) {
  const [directory, port, bucket] = process.argv.slice(2)
  const server = await startS3rver(directory, bucket, Number(port))
  console.log(`http://127.0.0.1:${server.port}`)
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void server.close())
}
