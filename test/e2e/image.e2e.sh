#!/usr/bin/env bash
# The image: it is small, runs without root, and serves. Where containers cannot be run it is started in a chroot.
. "$(dirname "$0")/lib.sh"
need buildah skopeo curl
[ "$(id -u)" = 0 ] || { echo 'skip - images are made and started by root here' && exit 0; }

export BUILDAH_ISOLATION=chroot
image=localhost/entrepot-e2e-$$
check 'make image makes it' bash "$project/packaging/image.sh" "$image:latest"
config=$(buildah inspect --type image "$image:latest" | jq -c '.Docker.config')
check_equal 'it does not run as root' "$(jq -r .User <<<"$config")" 65532:65532
check_equal 'it serves by default' "$(jq -c '.Entrypoint + .Cmd' <<<"$config")" \
  '["/nodejs/bin/node","/usr/lib/entrepot/registry.mjs","serve","/etc/distribution/config.yml"]'
check_contains 'it knows how to find out whether it is well' "$(jq -c .Healthcheck.Test <<<"$config")" health
size=$(buildah inspect --type image "$image:latest" | jq '[.Manifest | fromjson | .layers[].size] | add')
check_below 'it is small, in megabytes' "$((size / 1000000))" 150

container=$(buildah from "$image:latest")
root=$(buildah mount "$container")
check_fails 'it has no shell' test -e "$root/bin/sh"
port=$(free_port) debug=$(free_port)
chroot --userspec=65532:65532 "$root" /usr/bin/env true 2>/dev/null && not_ok 'it has nothing but Node' "$(ls "$root/usr/bin")"
# Not a function: in the background that would be a shell that waits for the program, and signals would go to it.
start_in_image=(
  env REGISTRY_HTTP_ADDR="127.0.0.1:$port" REGISTRY_HTTP_DEBUG_ADDR="127.0.0.1:$debug" NODE_EXTRA_CA_CERTS=
  chroot --userspec=65532:65532 "$root" /nodejs/bin/node /usr/lib/entrepot/registry.mjs
)
"${start_in_image[@]}" serve /etc/distribution/config.yml >"$work/image.log" 2>&1 &
pid=$!
own_pids[$pid]=image
check 'it answers' wait_for 20 curl -sf "http://127.0.0.1:$port/v2/"
node "$project/test/e2e/make-image.mjs" "$work/image" >/dev/null
check 'it takes a push' skopeo copy --quiet --dest-tls-verify=false "oci:$work/image:latest" "docker://127.0.0.1:$port/team/app:1"
check 'it gives it back' skopeo copy --quiet --src-tls-verify=false "docker://127.0.0.1:$port/team/app:1" "oci:$work/pulled:latest"
check 'its own check finds it healthy' "${start_in_image[@]}" health /etc/distribution/config.yml
kill -TERM "$pid"
wait "$pid" || not_ok 'it stops cleanly' "$(cat "$work/image.log")"
unset "own_pids[$pid]"
check_fails 'its own check finds it gone' "${start_in_image[@]}" health /etc/distribution/config.yml
buildah umount "$container" >/dev/null
buildah rm "$container" >/dev/null
buildah rmi "$image:latest" >/dev/null
