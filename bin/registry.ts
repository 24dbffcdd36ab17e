// The program `registry`: `make` bundles this into bin/registry-parts, which bin/registry starts.
import { processIo } from '../lib/cli/io.ts'
import { main } from '../lib/cli/main.ts'

process.exitCode = await main(process.argv.slice(2), processIo())
// Stopped by a second signal: what is still going on does not get to finish.
if (process.exitCode > 128) process.exit()
