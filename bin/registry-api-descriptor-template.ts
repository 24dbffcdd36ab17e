#!/usr/bin/env node
// The program `registry-api-descriptor-template`: `make` bundles this into the executable bin/registry-api-descriptor-template.
import { processIo } from '../lib/cli/io.ts'
import { apiDescriptorTemplateMain } from '../lib/cli/api-descriptor-template.ts'

process.exitCode = await apiDescriptorTemplateMain(process.argv.slice(2), processIo())
