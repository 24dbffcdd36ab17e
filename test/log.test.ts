import { execFileSync } from 'node:child_process'
import path from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { LogHook } from '../lib/log-mail.ts'
import { createLogger, describeError, redactUrl, requestContext, type LoggerOptions } from '../lib/log.ts'
import { BlobUnknownError, RegistryError } from '../lib/oci/errors.ts'

function record(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  const logger = createLogger({ level: 'info', formatter: 'text', fields: {}, write, ...options })
  return { logger, lines }
}

function recordJson(options: Partial<LoggerOptions> = {}) {
  const { logger, lines } = record({ formatter: 'json', ...options })
  return { logger, objects: () => lines.map(line => JSON.parse(line) as Record<string, unknown>) }
}

const time = 'time="\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z"'

t.test('createLogger() drops lines below its level', async t => {
  const { logger, lines } = record({ level: 'warn' })
  logger.debug('no')
  logger.info('no')
  logger.warn('yes')
  logger.error('yes')

  t.equal(lines.length, 2)
})

t.test(
  'createLogger() writes text as logrus does: keys in order, quotes only where they are needed',
  async t => {
    const { logger, lines } = record({ fields: { service: 'registry', environment: 'a b' } })
    logger.warn(
      { zeta: 1, alpha: true, 'http.request.uri': '/v2/a@b+c^d', list: [1, 'x'], none: null, empty: '' },
      'a "b"\nc',
    )
    logger.info('plain')

    t.match(
      lines[0],
      new RegExp(
        `^${time} level=warning msg="a \\\\"b\\\\"\\\\nc" alpha=true empty="" environment="a b" ` +
          `http\\.request\\.uri=/v2/a@b\\+c\\^d list="\\[1,\\\\"x\\\\"\\]" none=null service=registry zeta=1\\n$`,
      ),
    )
    t.match(lines[1], new RegExp(`^${time} level=info msg=plain environment="a b" service=registry\\n$`))
  },
)

t.test('createLogger() keeps a line one line, whatever is logged', async t => {
  const { logger, lines } = record()
  const property = fc.property(
    fc.string(),
    fc.string({ minLength: 1 }),
    fc.jsonValue(),
    (message, key, value) => {
      lines.length = 0
      logger.info({ [key]: value }, message)
      return lines.length === 1 && /^[^\n]+\n$/.test(lines[0] ?? '')
    },
  )

  t.doesNotThrow(() => fc.assert(property))
})

t.test('createLogger() writes json and logstash as an object a line', async t => {
  for (const formatter of ['json', 'logstash'] as const) {
    const { logger, objects } = recordJson({ formatter, fields: { service: 'registry' } })
    logger.warn({ a: { b: 1 } }, 'hello')

    t.match(objects(), [
      { level: 'warning', msg: 'hello', service: 'registry', a: { b: 1 }, time: /^\d{4}-.*Z$/ },
    ])
    t.notOk('pid' in (objects()[0] ?? {}))
  }
})

t.test('createLogger() censors values under telling keys', async t => {
  const { logger, objects } = recordJson()
  const secrets = {
    authorization: 's3cret',
    cookie: 's3cret',
    password: 's3cret',
    secret: 's3cret',
    token: 's3cret',
  }
  logger.info(secrets, 'top')
  logger.info({ headers: { ...secrets, 'set-cookie': ['s3cret'] } }, 'one down')
  logger.info(
    { request: { headers: { ...secrets, Authorization: 'Basic s3cret', 'proxy-authorization': 's3cret' } } },
    'two',
  )
  logger.child({ password: 's3cret' }).info('child')
  logger.info({ a: { b: { c: { d: { e: { Token: 's3cret' } } } } } }, 'deep')

  t.equal(objects().length, 5)
  t.equal(secrets.token, 's3cret')
  t.notMatch(JSON.stringify(objects()), /s3cret/)
  t.match(objects()[1], { headers: { authorization: '[redacted]' } })
})

t.test('createLogger() adds the id of the request that is being served', async t => {
  const { logger, objects } = recordJson()
  logger.info('outside')
  await requestContext.run({ requestId: 'one' }, async () => {
    await Promise.resolve()
    logger.info('inside')
  })

  t.same(
    objects().map(line => line['http.request.id']),
    [undefined, 'one'],
  )
})

t.test('createLogger() logs an error with its causes', async t => {
  const { logger, objects } = recordJson()
  const disk = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' })
  const err = new RegistryError('UNKNOWN', 'Cannot store blob', {
    cause: new Error('Cannot write', { cause: disk }),
  })
  logger.error({ err }, 'failed')
  logger.error(err)

  const fields = {
    type: 'RegistryError',
    code: 'UNKNOWN',
    message: 'Cannot store blob',
    cause: 'Cannot write: ENOSPC: no space left',
  }
  t.match(objects(), [{ err: fields }, { err: fields, msg: 'Cannot store blob' }])
})

t.test('createLogger() gives stacks of bugs, and of everything at level debug', async t => {
  const bug = new TypeError('x is not a function', { cause: new Error('inner') })
  const everyday = new BlobUnknownError('sha256:00', { cause: 'text' })
  const stacks = (level: 'info' | 'debug') => {
    const { logger, objects } = recordJson({ level })
    for (const err of [bug, everyday]) logger.error({ err }, 'failed')
    return objects().map(line => (line['err'] as { stack?: string }).stack)
  }

  const [ofBug, ofEveryday] = stacks('info')
  t.match(ofBug, /^TypeError: x is not a function\n +at [^]*\ncaused by: Error: inner\n +at /)
  t.equal(ofEveryday, undefined)
  t.match(stacks('debug')[1], /^BlobUnknownError: [^]*\ncaused by: text$/)
})

t.test('createLogger() writes errors as text with one key for each of their fields', async t => {
  const { logger, lines } = record()
  logger.warn({ err: new BlobUnknownError('sha256:00') }, 'failed')
  logger.warn({ err: 'not an error' }, 'failed')

  t.match(
    lines[0],
    / err\.code=BLOB_UNKNOWN err\.message="Cannot find blob \\"sha256:00\\"" err\.type=BlobUnknownError\n$/,
  )
  t.match(lines[1], / err="not an error"\n$/)
})

t.test('createLogger() writes to stderr, and all of it although the process ends at once', async t => {
  const script = t.testdir({
    'log.ts': `import { createLogger } from ${JSON.stringify(path.resolve('lib/log.ts'))}
      const logger = createLogger({ level: 'info', formatter: 'json', fields: {} })
      for (let i = 0; i < 500; i++) logger.info({ i }, 'line')
      process.exit(3)`,
  })
  try {
    execFileSync(process.execPath, [...process.execArgv, path.join(script, 'log.ts')], { stdio: 'pipe' })
    t.fail('the script ends with status 3')
  } catch (err) {
    const { status, stdout, stderr } = err as { status: number; stdout: Buffer; stderr: Buffer }
    t.equal(status, 3)
    t.equal(String(stdout), '')
    t.equal(String(stderr).trim().split('\n').length, 500)
  }
})

t.test('describeError() tells each message of a chain once, and survives a ring', async t => {
  const inner = new Error('b')
  const outer = new Error('a: b', { cause: inner })
  const ring = new Error('ring')
  ring.cause = ring

  t.equal(describeError(outer), 'a: b')
  t.equal(describeError(new Error('x', { cause: new Error('y', { cause: 'z' }) })), 'x: y: z')
  t.equal(describeError(ring), 'ring')
  t.equal(describeError(new AggregateError([new Error('v4'), new Error('v6')])), 'AggregateError: v4: v6')
  t.equal(describeError('text'), 'text')
  t.equal(describeError(undefined), 'undefined')
})

t.test('redactUrl() removes credentials and whatever grants access', async t => {
  const cases: readonly (readonly [string, string])[] = [
    ['https://user:pass@host/v2/', 'https://host/v2/'],
    ['https://user:p@ss@host:5000', 'https://host:5000'],
    ['//user@host/x', '//host/x'],
    [
      '/v2/a/blobs/uploads/1?_state=s3cret&digest=sha256:1',
      '/v2/a/blobs/uploads/1?_state=***&digest=sha256:1',
    ],
    ['https://h/t?access_token=x&service=y&token=z#f', 'https://h/t?access_token=***&service=y&token=***#f'],
    [
      'https://s3/b?X-Amz-Signature=a&x-amz-credential=b&Signature=c&sig=d',
      'https://s3/b?X-Amz-Signature=***&x-amz-credential=***&Signature=***&sig=***',
    ],
    ['https://h/?%74oken=x&a', 'https://h/?%74oken=***&a'],
    ['https://h/?%zz=x&token=y', 'https://h/?%zz=x&token=***'],
  ]
  for (const [url, redacted] of cases) t.equal(redactUrl(url), redacted)
  t.equal(redactUrl(new URL('https://user:pass@host/x?token=y')), 'https://host/x?token=***')
})

t.test('redactUrl() leaves everything else alone', async t => {
  for (const url of [
    '',
    '/v2/',
    'https://host/a@b?n=1&last=x@y',
    '/v2/a/tags/list?n=10',
    'mailto:a@b',
    '?',
    'a b\n?c',
  ]) {
    t.equal(redactUrl(url), url)
  }
})

t.test('createLogger() tells where in the source a line was written, where that is wanted', async t => {
  const { logger, objects } = recordJson({ reportCaller: true })
  function somewhere() {
    logger.info('here')
    logger.child({ a: 1 }).warn({ b: 2 }, 'there')
  }
  somewhere()

  for (const line of objects()) t.match(line, { file: /test\/log\.test\.ts:\d+$/, func: 'somewhere' })
  t.notOk('file' in (recordedOnce() ?? {}))
})

function recordedOnce() {
  const { logger, objects } = recordJson()
  logger.info('here')
  return objects()[0]
}

t.test('createLogger() hands lines of the levels that a hook wants to it, censored', async t => {
  const taken: (readonly string[])[] = []
  const hook: LogHook = {
    levels: new Set(['warning', 'error']),
    take: (...args) => void taken.push(args),
    close: async () => {},
  }
  for (const formatter of ['text', 'json'] as const) {
    const { logger } = record({ formatter, level: 'debug', hooks: [hook] })
    logger.debug('no')
    logger.info('no')
    logger.warn({ password: 's3cret' }, 'careful')
    logger.error('wrong')
  }

  t.same(
    taken.map(([level, message]) => `${level} ${message}`),
    ['warning careful', 'error wrong', 'warning careful', 'error wrong'],
  )
  t.match(taken[0]?.[2], /^time=.* level=warning msg=careful password="\[redacted\]"\n$/)
  t.match(taken[2]?.[2], /^\{"level":"warning".*\}\n$/)
})
