# The build: what `make` says and makes, in a copy of the tree, and that each program needs only Node.
. "$(dirname "$0")/lib.sh"
need make tar

mkdir "$work/copy" "$work/alone"
tar -C "$project" --exclude=./node_modules --exclude=./.git --exclude=./.tap --exclude=./data -cf - . | tar -C "$work/copy" -xf -
ln -s "$project/node_modules" "$work/copy/node_modules"
programs=(registry digest registry-api-descriptor-template)
for program in "${programs[@]}"; do rm -rf "$work/copy/bin/$program" "$work/copy/bin/$program-parts"; done

check 'make builds' make -C "$work/copy" build
said=$(grep '^+ ' "$work/check.out")
check_equal 'make says what it made' "$(sort <<<"$said")" "$(printf '+ bin/%s\n' "${programs[@]}" | cat - <(echo '+ binaries') | sort)"
check_equal 'make says last that all is made' "$(tail -n 1 <<<"$said")" '+ binaries'
check_equal 'make builds nothing twice' "$(make -C "$work/copy" build | grep '^+ ')" '+ binaries'
check_contains 'make help lists the targets' "$(make -s -C "$work/copy" help)" 'make e2e'

cp -R "$work/copy/bin/registry-parts" "$work/alone/"
for program in "${programs[@]}"; do
  cp "$work/copy/bin/$program" "$work/alone/"
  check "bin/$program runs on its own" "$work/alone/$program" --version
done
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$project/package.json")
check_contains 'registry --version tells the version' "$("$work/alone/registry" --version)" "$version"

mkdir -p "$work/links" "$work/installed/bin" "$work/installed/lib"
ln -s ../alone/registry "$work/links/first"
ln -s first "$work/links/second"
cp "$work/alone/registry" "$work/installed/bin/"
check_fails 'bin/registry says that its parts are missing' "$work/installed/bin/registry" --version
cp -R "$work/alone/registry-parts" "$work/installed/lib/entrepot"
check 'bin/registry runs where it is installed' "$work/installed/bin/registry" --version
check 'bin/registry runs through links' "$work/links/second" --version
check 'bin/registry runs by its name alone' env -C "$work/alone" sh registry --version
check 'bin/registry runs from $PATH' env PATH="$work/links:$PATH" second --version
touch "$work/copy/bin/registry-parts/stale.mjs" "$work/copy/bin/registry.ts"
check_equal 'make builds again what has changed' "$(make -C "$work/copy" build | grep '^+ ' | head -n 1)" '+ bin/registry'
check_fails 'nothing is left of an earlier build' test -e "$work/copy/bin/registry-parts/stale.mjs"

echo content >"$work/file"
check_equal 'digest prints the digest of a file' "$("$work/alone/digest" "$work/file")" "$(printf '%s\t%s' "$(sha256_of "$work/file")" "$work/file")"
check_equal 'digest reads standard input' "$("$work/alone/digest" <"$work/file" | cut -f 1)" "$(sha256_of "$work/file")"

# What is read before the command line is looked at: the program's first file and what that imports at once.
read_at_once=$(node -e '
  const fs = require("node:fs"), path = require("node:path"), seen = new Map()
  function visit(file) {
    if (seen.has(file)) return
    const text = fs.readFileSync(file, "utf8")
    seen.set(file, text.length)
    for (const [, name] of text.matchAll(/(?:from|import)"(\.\/[^"]+)"/g)) visit(path.join(path.dirname(file), name))
  }
  visit(process.argv[1])
  console.log([...seen.values()].reduce((sum, length) => sum + length) / 1000 | 0)' "$work/alone/registry-parts/registry.mjs")
check_below 'registry reads no more than it needs for --version, in kilobytes' "$read_at_once" 150

best=1000000
for _ in 1 2 3 4 5; do
  begun=$(date +%s%N)
  "$work/alone/registry" --version >/dev/null
  took=$((($(date +%s%N) - begun) / 1000000))
  best=$((took < best ? took : best))
done
report "registry --version, best of 5: $best ms (aim: below 300 ms)"
