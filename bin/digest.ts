#!/usr/bin/env node
// The program `digest`: `make` bundles this into the executable bin/digest.
import { processIo } from '../lib/cli/io.ts'
import { digestMain } from '../lib/cli/digest.ts'

process.exitCode = await digestMain(process.argv.slice(2), processIo())
