// The words of `registry cache` and `registry explain`: arguments, options and help. What they do is in cache.ts, warm.ts
// and explain.ts, which are imported only when it is done.
import type { Command } from 'commander'
import type { CacheCommand, OpenOffline, Where } from './find-cache.ts'
import type { Io } from './io.ts'
import type { WarmOptions } from './warm.ts'

export interface CommandSurroundings {
  readonly io: Io
  readonly openOffline: OpenOffline
  /** Takes the exit code of a command that has run. */
  readonly report: (exitCode: number) => void
}

type Options = Where & { readonly json?: boolean | undefined }

export function addCacheCommands(program: Command, surroundings: CommandSurroundings): void {
  const { io, openOffline, report } = surroundings
  const meant = (where: Where): CacheCommand => ({ io, where, openOffline })

  const cache = program
    .command('cache')
    .description('look into the cache of a mirror, and change what is in it')

  withOffline(cache.command('ls'))
    .description('list what is cached')
    .argument('[pattern]', 'a word in repository:tag, or a pattern such as ghcr.io/team/*')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('cache ls', 'cache ls nginx', "cache ls 'ghcr.io/*:latest' --json"))
    .action(async (pattern: string | undefined, options: Options) => {
      const { listImages } = await import('./cache.ts')
      report(await listImages(meant(options), { pattern, json: options.json }))
    })

  withOffline(cache.command('stats'))
    .description('show how much is cached, and how upstreams are doing')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('cache stats', 'cache stats --server http://mirror:5001'))
    .action(async (options: Options) => {
      const { showStats } = await import('./cache.ts')
      report(await showStats(meant(options), options))
    })

  withOffline(cache.command('du'))
    .description('show how much of the disk each repository takes')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('cache du', 'cache du --offline'))
    .action(async (options: Options) => {
      const { showDiskUse } = await import('./cache.ts')
      report(await showDiskUse(meant(options), options))
    })

  withOffline(cache.command('pins'))
    .description('list the patterns of what is never evicted')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('cache pins'))
    .action(async (options: Options) => {
      const { listPins } = await import('./cache.ts')
      report(await listPins(meant(options), options))
    })

  withServer(cache.command('pin'))
    .description('never evict what matches a pattern')
    .argument('<pattern>', 'repository, repository:tag or repository@digest, the first two with * and ?')
    .addHelpText('after', examples("cache pin 'library/nginx:1.*'", 'cache pin ghcr.io/team/app'))
    .action(async (pattern: string, options: Where) => {
      const { addPin } = await import('./cache.ts')
      report(await addPin(meant(options), pattern))
    })

  withServer(cache.command('unpin'))
    .description('take a pin away')
    .argument('<pattern>', 'as `cache pins` lists it')
    .addHelpText('after', examples("cache unpin 'library/nginx:1.*'"))
    .action(async (pattern: string, options: Where) => {
      const { removePin } = await import('./cache.ts')
      report(await removePin(meant(options), pattern))
    })

  withServer(cache.command('purge'))
    .description('remove an image from the cache, with what no other image needs')
    .argument('<image>', 'such as docker.io/library/nginx:1.27 or ghcr.io/team/app@sha256:…')
    .option('--force', 'also what is pinned')
    .option('--all-tags', 'all that the repository has')
    .addHelpText('after', examples('cache purge nginx:1.27', 'cache purge ghcr.io/team/app --all-tags'))
    .action(
      async (image: string, options: Where & { readonly force?: boolean; readonly allTags?: boolean }) => {
        const { purgeImage } = await import('./cache.ts')
        const { force, allTags } = options
        report(await purgeImage(meant(options), image, { force, allTags }))
      },
    )

  withServer(cache.command('warm'))
    .description('have the server pull images, so that they are there when they are needed')
    .argument('[images...]', 'such as docker.io/library/nginx:1.27')
    .option('--platform <list>', 'linux/amd64,linux/arm64 or all (default: that of the server)')
    .option('--with-referrers', 'also signatures, bills of materials and other referrers')
    .option('--file <file>', 'take images from a file, one a line; - is stdin')
    .addHelpText(
      'after',
      examples(
        'cache warm nginx:1.27 ghcr.io/team/app:v3',
        'cache warm nginx --platform linux/amd64,linux/arm64 --with-referrers',
        'cache warm --file images.txt',
      ),
    )
    .action(async (images: readonly string[], options: Where & WarmOptions) => {
      const { warm } = await import('./warm.ts')
      report(await warm(meant(options), images, options))
    })

  withOffline(program.command('explain'))
    .description(
      'explain what a request for an image would meet: its upstream, what is cached, and how fresh that is',
    )
    .argument('<image>', 'such as docker.io/library/nginx:1.27')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('explain nginx', 'explain ghcr.io/team/app:v3 --json'))
    .action(async (image: string, options: Options) => {
      const { explain } = await import('./explain.ts')
      report(await explain(meant(options), image, options))
    })
}

/** Options of what only a running server does. */
function withServer(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file of the server (default: $REGISTRY_CONFIGURATION_PATH)')
    .option('--server <url>', "URL of the server's http.debug.addr, in place of a configuration")
}

/** Options of what can be read out of the store, too. */
function withOffline(command: Command): Command {
  return withServer(command).option('--offline', 'read the store of the configuration, without a server')
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map(line => `  registry ${line}\n`).join('')}`
}
