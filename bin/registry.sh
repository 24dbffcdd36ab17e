#!/bin/sh
# Starts the program `registry`: `make` installs this as bin/registry. The program's parts lie beside it, in registry-parts/,
# or in ../lib/entrepot/, where they are installed; it may be started through symbolic links.
program=$0
[ ! -L "$program" ] || program=$(readlink -f "$program")
case $program in
  */*) directory=${program%/*} ;;
  *) directory=. ;;
esac
parts=$directory/registry-parts
[ -d "$parts" ] || parts=$directory/../lib/entrepot
if [ ! -f "$parts/registry.mjs" ]; then
  echo "registry: Cannot start: neither $directory/registry-parts nor $directory/../lib/entrepot has its parts" >&2
  exit 1
fi
# With Node's usual four threads a few slow flushes to disk would hold up every read; and Node has its threads before a
# module's first line runs.
export UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE:-16}"
exec node "$parts/registry.mjs" "$@"
