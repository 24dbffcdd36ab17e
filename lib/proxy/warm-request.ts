// A request to warm images as it comes from outside, from the configuration, the admin API or the command line, in
// words; and what they mean.
import { parseImageReference } from '../oci/image-reference.ts'
import { parsePlatform } from '../oci/platform.ts'
import type { WarmRequest } from './warm.ts'

export interface WarmWords {
  readonly images: readonly string[]
  /** Each `os/architecture[/variant]`, or `all`; none: that of the machine that the registry runs on. */
  readonly platforms: readonly string[]
  readonly referrers: boolean
}

/** Throws RegistryError for a wrong image and SyntaxError for a wrong platform. */
export function parseWarmRequest({ images, platforms, referrers }: WarmWords): WarmRequest {
  return {
    images: images.map(parseImageReference),
    platforms: parsePlatforms(platforms),
    withReferrers: referrers,
  }
}

function parsePlatforms(words: readonly string[]): WarmRequest['platforms'] {
  if (words.includes('all')) return 'all'
  return words.map(word => {
    const platform = parsePlatform(word)
    if (platform === undefined)
      throw new SyntaxError(
        `Cannot parse platform "${word}": found no os/architecture[/variant], and not all`,
      )
    return platform
  })
}
