// Which images an operator means. A plain word, such as `nginx`, is looked for anywhere in `repository:tag`; a pattern
// (name-pattern.ts) must match the repository, or `repository:tag`, as it does for pins.
import { compilePattern } from '../../name-pattern.ts'
import type { CachedImage, ImageFilter } from './cache-admin.ts'

/** Throws SyntaxError for a pattern that is no regular expression. */
export function imageFilter({
  pattern,
}: ImageFilter): (image: Pick<CachedImage, 'repository' | 'tag'>) => boolean {
  if (pattern === undefined) return () => true
  const isPattern = /[*?]/.test(pattern) || (pattern.length > 1 && /^\/.*\/$/.test(pattern))
  if (!isPattern) return image => nameOf(image).includes(pattern)
  const compiled = compilePattern(pattern)
  return image => compiled.test(image.repository) || compiled.test(nameOf(image))
}

function nameOf({ repository, tag }: Pick<CachedImage, 'repository' | 'tag'>): string {
  return tag === undefined ? repository : `${repository}:${tag}`
}
