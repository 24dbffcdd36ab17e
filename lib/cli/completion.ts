// Scripts that complete the words of a program in a shell, made of its tree of commands.
import type { Command } from 'commander'

interface Words {
  /** The names of commands that lead here, parted by spaces; '' for the program itself. */
  readonly path: string
  readonly commands: readonly { readonly name: string; readonly description: string }[]
  readonly options: readonly { readonly flag: string; readonly description: string }[]
}

/** undefined for a shell that is not known. */
export function completionScript(program: Command, shell: string): string | undefined {
  const name = program.name()
  const words = [...wordsOf(program, [])]
  if (shell === 'bash') return bash(name, words)
  // The function of bash does in zsh, too.
  if (shell === 'zsh')
    return `#compdef ${name}\nautoload -U +X bashcompinit && bashcompinit\n${bash(name, words)}`
  return shell === 'fish' ? fish(name, words) : undefined
}

function* wordsOf(command: Command, path: readonly string[]): Generator<Words> {
  const help = command.createHelp()
  const commands = help.visibleCommands(command)
  yield {
    path: path.join(' '),
    commands: commands.map(one => ({ name: one.name(), description: one.description() })),
    options: help
      .visibleOptions(command)
      .flatMap(({ long, description }) => (long ? [{ flag: long, description }] : [])),
  }
  for (const one of commands) if (one.name() !== 'help') yield* wordsOf(one, [...path, one.name()])
}

function bash(name: string, words: readonly Words[]): string {
  const cases = words.map(({ path, commands, options }) => {
    const all = [...commands.map(one => one.name), ...options.map(({ flag }) => flag)]
    return `    '${path}') words='${all.join(' ')}' ;;`
  })
  const paths = words.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`)
  return `# Completion of ${name}. In .bashrc: source <(${name} completion bash)
_${name}() {
  local word path='' words='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    case "\${path:+$path }$word" in
    ${paths.join(' | ')}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _${name} ${name}
`
}

function fish(name: string, words: readonly Words[]): string {
  const lines = words.flatMap(({ path, commands, options }) => {
    const parts = path.split(' ').filter(Boolean)
    const seen = parts.map(part => `__fish_seen_subcommand_from ${part}`)
    const names = commands.map(one => one.name).join(' ')
    const inside = seen.length === 0 ? '__fish_use_subcommand' : seen.join('; and ')
    const before = commands.length === 0 ? inside : `${inside}; and not __fish_seen_subcommand_from ${names}`
    return [
      ...commands.map(
        one => `complete -c ${name} -n ${quoted(before)} -f -a ${one.name} -d ${quoted(one.description)}`,
      ),
      ...options.map(
        ({ flag, description }) =>
          `complete -c ${name} -n ${quoted(inside)} -l ${flag.replace(/^--/, '')} -d ${quoted(description)}`,
      ),
    ]
  })
  return `# Completion of ${name}.\n${lines.join('\n')}\n`
}

function quoted(text: string): string {
  return `'${text.replace(/\s+/g, ' ').replace(/[\\']/g, '\\$&')}'`
}
