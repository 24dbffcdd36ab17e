#!/usr/bin/env node
// Golden compatibility: the same recorded scripts, of several hundred requests, against Debian's docker-registry and
// against Entrepôt, both started from the same configuration files. Status, headers and bodies are compared; what
// differs is either explained in differences.mjs or a failure.
//
//   compare.mjs            says what differs without an explanation; `N passed, N failed` last, exit status 1 if any does
//   compare.mjs --write    also writes the explained differences into docs/compatibility.md
//   compare.mjs --verbose  also prints every difference
//
// A request counts as one check. So does an explanation: one that explains nothing any more has to go, and one that the
// document does not give has to be written there.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { format, resolveConfig } from 'prettier'
import { explanations } from './differences.mjs'
import { programs, startRegistry } from './registries.mjs'
import { createSession } from './session.mjs'
import { suites } from './suites.mjs'

const { values: options } = parseArgs({
  options: { write: { type: 'boolean', default: false }, verbose: { type: 'boolean', default: false } },
})

const begin = '<!-- made by test/compatibility/compare.mjs -->'
const end = '<!-- end of what is made -->'
const document = path.resolve(import.meta.dirname, '../../docs/compatibility.md')
const found = new Map(explanations.map(explanation => [explanation, []]))
let passed = 0
let failed = 0
let requests = 0

for (const suite of suites) {
  const [theirs, ours] = await Promise.all([record(programs.reference, suite), record(programs.ours, suite)])
  for (const name of new Set([...theirs.keys(), ...ours.keys()])) {
    requests++
    const differences = differencesOf(theirs.get(name), ours.get(name)).map(difference => ({
      ...difference,
      suite: suite.name,
      request: name,
    }))
    const unexplained = differences.filter(difference => !explain(difference))
    if (unexplained.length === 0) passed++
    else failed++
    for (const { field, reference, own } of unexplained)
      console.log(
        `not ok - ${suite.name}, ${name}: ${field}\n#   reference: ${show(reference)}\n#   ours:      ${show(own)}`,
      )
  }
}
for (const [{ what }, explained] of found) {
  if (explained.length > 0) passed++
  else {
    failed++
    console.log(`not ok - "${what}" explains no difference any more`)
  }
}
if (options.write && failed === 0) await writeDocument()
const described = readFileSync(document, 'utf8')
for (const { what } of explanations) {
  if (described.includes(cell(what))) passed++
  else {
    failed++
    console.log(
      `not ok - docs/compatibility.md does not say "${what}": node test/compatibility/compare.mjs --write`,
    )
  }
}
console.log(`# ${requests} requests`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

async function record(program, { configuration, files, run }) {
  const registry = await startRegistry(program, configuration, files)
  const session = createSession(registry.url)
  try {
    await run(session)
    return session.answers
  } finally {
    await registry.stop()
  }
}

function differencesOf(reference, own) {
  if (reference === undefined || own === undefined)
    return [
      { field: 'request', reference: reference?.status, own: own?.status, theirs: reference, ours: own },
    ]
  const whole = { theirs: reference, ours: own }
  const names = [...new Set([...Object.keys(reference.headers), ...Object.keys(own.headers)])].sort()
  return [
    { field: 'status', reference: reference.status, own: own.status, ...whole },
    ...names.map(name => ({
      field: name,
      reference: reference.headers[name],
      own: own.headers[name],
      ...whole,
    })),
    { field: 'body', reference: reference.body, own: own.body, ...whole },
  ].filter(difference => difference.reference !== difference.own)
}

/** Whether an explanation fits; the first one counts. */
function explain(difference) {
  const explanation = explanations.find(({ fits }) => fits(difference))
  if (explanation === undefined) return false
  found.get(explanation).push(difference)
  if (options.verbose)
    console.log(`# ${difference.suite}, ${difference.request}: ${difference.field}: ${explanation.what}`)
  return true
}

function show(value) {
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

async function writeDocument() {
  const rows = [...found].map(([{ what, reference, own, why }, explained]) => {
    const answers = new Set(explained.map(({ suite, request }) => `${suite} ${request}`)).size
    return `| ${[what, reference, own, why, String(answers)].map(cell).join(' | ')} |`
  })
  const table = [
    '| what | distribution 2.8.2 | Entrepôt | why | answers |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
  const text = readFileSync(document, 'utf8')
  const [before, after] = [text.split(begin)[0], text.split(end)[1]]
  if (before === undefined || after === undefined) throw new Error(`Cannot find the place in ${document}`)
  const summary = `${requests} requests were compared.`
  const whole = `${before}${begin}\n\n${summary}\n\n${table}\n\n${end}${after}`
  const style = (await resolveConfig(document)) ?? {}
  writeFileSync(document, await format(whole, { ...style, filepath: document }))
}

function cell(text) {
  return text.replaceAll('|', '\\|')
}
