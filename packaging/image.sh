#!/usr/bin/env bash
# Makes the image of the Dockerfile beside this file with buildah alone, from this machine's Node: for where no other
# image, or no Docker engine, can be had. Needs Linux with glibc, buildah and a built program; root, or user namespaces.
#
#   image.sh NAME      such as localhost/entrepot:latest
set -euo pipefail
name=${1:?usage: image.sh NAME}
here=$(cd "$(dirname "$0")" && pwd)
project=$(dirname "$here")
work=$(mktemp -d "${TMPDIR:-/tmp}/entrepot-image.XXXXXX")
root=$work/root
container=
clean_up() {
  [ -z "$container" ] || buildah rm "$container" >/dev/null
  rm -rf "$work"
}
trap clean_up EXIT

node=$(node -p 'process.execPath')
install -D -m 755 "$node" "$root/nodejs/bin/node"
# The libraries that Node is linked with, where the loader looks for them, and the loader itself.
ldd "$node" | grep -oE '/[^ ]+' | while read -r library; do
  install -D -m 755 "$(readlink -f "$library")" "$root$library"
done
install -D -m 644 -t "$root/usr/lib/entrepot" "$project"/bin/registry-parts/*
install -D -m 644 "$here/config.yml" "$root/etc/distribution/config.yml"
printf 'root:x:0:0:root:/root:/nonexistent\nnonroot:x:65532:65532:nonroot:/home/nonroot:/nonexistent\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
install -d -m 1777 "$root/tmp"
install -d -m 755 "$work/data"

container=$(buildah from --format docker scratch)
buildah copy --quiet "$container" "$root" / >/dev/null
buildah copy --quiet --chown 65532:65532 "$container" "$work/data" /var/lib/registry >/dev/null
buildah config \
  --env UV_THREADPOOL_SIZE=16 \
  --user 65532:65532 \
  --volume /var/lib/registry \
  --port 5000 --port 5001 \
  --stop-signal SIGTERM \
  --healthcheck 'CMD /nodejs/bin/node /usr/lib/entrepot/registry.mjs health /etc/distribution/config.yml' \
  --healthcheck-interval 30s --healthcheck-timeout 6s --healthcheck-start-period 10s \
  --entrypoint '["/nodejs/bin/node", "/usr/lib/entrepot/registry.mjs"]' \
  --cmd 'serve /etc/distribution/config.yml' \
  "$container"
buildah commit --quiet --format docker "$container" "$name"
