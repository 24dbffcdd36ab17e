# The build: what `make` says and makes, in a copy of the tree, and that each program is one file that needs only Node.
. "$(dirname "$0")/lib.sh"
need make tar

mkdir "$work/copy" "$work/alone"
tar -C "$project" --exclude=./node_modules --exclude=./.git --exclude=./.tap --exclude=./data -cf - . | tar -C "$work/copy" -xf -
ln -s "$project/node_modules" "$work/copy/node_modules"
programs=(registry digest registry-api-descriptor-template)
for program in "${programs[@]}"; do rm -f "$work/copy/bin/$program"; done

check 'make builds' make -C "$work/copy" build
said=$(grep '^+ ' "$work/check.out")
check_equal 'make says what it made' "$(sort <<<"$said")" "$(printf '+ bin/%s\n' "${programs[@]}" | cat - <(echo '+ binaries') | sort)"
check_equal 'make says last that all is made' "$(tail -n 1 <<<"$said")" '+ binaries'
check_equal 'make builds nothing twice' "$(make -C "$work/copy" build | grep '^+ ')" '+ binaries'
check_contains 'make help lists the targets' "$(make -s -C "$work/copy" help)" 'make e2e'

for program in "${programs[@]}"; do
  cp "$work/copy/bin/$program" "$work/alone/"
  check "bin/$program runs on its own" "$work/alone/$program" --version
done
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$project/package.json")
check_contains 'registry --version tells the version' "$("$work/alone/registry" --version)" "$version"
echo content >"$work/file"
check_equal 'digest prints the digest of a file' "$("$work/alone/digest" "$work/file")" "$(printf '%s\t%s' "$(sha256_of "$work/file")" "$work/file")"
check_equal 'digest reads standard input' "$("$work/alone/digest" <"$work/file" | cut -f 1)" "$(sha256_of "$work/file")"

best=1000000
for _ in 1 2 3 4 5; do
  begun=$(date +%s%N)
  "$work/alone/registry" --version >/dev/null
  took=$((($(date +%s%N) - begun) / 1000000))
  best=$((took < best ? took : best))
done
report "registry --version, best of 5: $best ms (aim: below 300 ms)"
