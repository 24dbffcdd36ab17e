import { nextPage, send, withQuery, type Repository } from './repository.ts'
import { checkSentences, sentence } from './sentences.ts'

const tags = ['1.0', '1.0-rc', '10', '2', 'A', 'Z', '_', 'a', 'b', 'latest', 'v1', 'v10', 'v2']

async function tag(repository: Repository, wanted = tags): Promise<void> {
  const { bytes } = await repository.pushImage()
  for (const reference of wanted.toReversed()) await repository.putManifest(reference, bytes)
}

function list(repository: Repository, query: Readonly<Record<string, string>> = {}) {
  return send('GET', withQuery(repository.tags, query))
}

checkSentences(import.meta.url, [
  sentence(
    'end-8a MUST',
    'the list of a repository that is there answers 200, also when it is empty',
    async (t, { repository, other }) => {
      await tag(repository, ['v1'])
      t.equal((await list(repository)).status, 200)
      await send('DELETE', repository.manifest('v1'))
      t.equal((await list(repository)).status, 200, 'the last tag was deleted')
      t.same(await repository.listTags(), [])
      await other.pushImage()
      t.equal((await list(other)).status, 200, 'pushed by digest alone')
      t.same(await other.listTags(), [])
    },
  ),

  sentence('end-8a MUST', 'tags are in lexical or ASCII order', async (t, { repository }) => {
    await tag(repository)
    t.same(await repository.listTags(), tags)
  }),

  sentence('end-8a MUST', 'the answer is JSON with name and tags', async (t, { repository }) => {
    await tag(repository, ['v1', 'v2'])
    const { headers, bytes } = await list(repository)
    t.equal(headers.get('content-type'), 'application/json')
    t.same(JSON.parse(bytes.toString()), { name: repository.name, tags: ['v1', 'v2'] })
  }),

  sentence(
    'end-8b MUST',
    'with `n` there are as many tags, if there are as many or no Link says that there are more',
    async (t, { repository }) => {
      await tag(repository)
      for (const n of [1, 5, 12, 13]) {
        t.equal((await repository.listTags({ n: String(n) })).length, n)
      }
      t.same(await repository.listTags({ n: '14' }), tags, 'more than there are')
      t.same(await repository.listTags({ n: '1000000' }), tags)
    },
  ),

  sentence(
    'end-8b MUST (1.1)',
    'Link has the form of RFC 5988 with rel="next"; following it lists every tag once',
    async (t, { repository }) => {
      await tag(repository)
      for (const n of ['1', '2', '5', '13']) {
        const found: string[] = []
        for (let url: string | undefined = withQuery(repository.tags, { n }); url !== undefined;) {
          const answer = await send('GET', url)
          t.equal(answer.status, 200)
          found.push(...(JSON.parse(answer.bytes.toString()) as { tags: string[] }).tags)
          url = nextPage(url, answer)
        }
        t.same(found, tags, `n=${n}`)
      }
    },
  ),

  sentence('end-8b MUST', '`n=0` answers with an empty list', async (t, { repository }) => {
    await tag(repository)
    const { status, bytes } = await list(repository, { n: '0' })
    t.equal(status, 200)
    t.same(JSON.parse(bytes.toString()), { name: repository.name, tags: [] })
  }),

  sentence('end-8b MUST NOT', '`n=0` answers with a Link', async (t, { repository }) => {
    await tag(repository)
    t.equal((await list(repository, { n: '0' })).headers.get('link'), null)
  }),

  sentence('end-8b MUST', 'with `n` the tags are the first ones, in order', async (t, { repository }) => {
    await tag(repository)
    t.same(await repository.listTags({ n: '6' }), tags.slice(0, 6))
  }),

  sentence('end-8b MUST', '`last` is a tag, not a number', async (t, { repository }) => {
    await tag(repository)
    t.same(await repository.listTags({ last: '2' }), tags.slice(tags.indexOf('2') + 1))
    t.same(
      await repository.listTags({ last: '3' }),
      tags.slice(tags.indexOf('2') + 1),
      'one that is not there',
    )
    t.same(await repository.listTags({ last: 'zzz' }), [], 'after all of them')
  }),

  sentence(
    'end-8b MUST',
    'with `last` the tags are in order and begin after it, with or without `n`',
    async (t, { repository }) => {
      await tag(repository)
      const after = tags.indexOf('A') + 1
      t.same(await repository.listTags({ last: 'A' }), tags.slice(after))
      t.same(await repository.listTags({ last: 'A', n: '3' }), tags.slice(after, after + 3))
      t.same(await repository.listTags({ last: 'A', n: '100' }), tags.slice(after))
    },
  ),
])
