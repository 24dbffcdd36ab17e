# Start-up: a configuration with mistakes is refused with all of them at once, distribution's own works as it is, and the
# environment overrides it.
. "$(dirname "$0")/lib.sh"
need curl jq

cat >"$work/bad.yml" <<'Y'
version: 0.1
log: {level: loud}
storage: {filesystem: {rootdirectory: /nowhere, maxthreads: many}, delete: {enabled: perhaps}}
http: {addr: "127.0.0.1:0", draintimeout: soon}
prox: {remoteurl: "http://127.0.0.1:1"}
Y
status=0
timeout 20 $SUT serve "$work/bad.yml" >"$work/bad.out" 2>"$work/bad.err" || status=$?
check_equal 'a bad configuration ends with exit status 1' "$status" 1
for path in log.level storage.filesystem.maxthreads storage.delete.enabled http.draintimeout prox; do
  check_contains "the message names $path" "$(cat "$work/bad.err")" "$path"
done

status=0
timeout 20 $SUT serve "$work/no-such.yml" >"$work/none.out" 2>"$work/none.err" || status=$?
check_equal 'a missing file ends with exit status 1' "$status" 1
check_contains 'the message names the missing file' "$(cat "$work/none.err")" no-such.yml
printf 'version: 0.1\nstorage: [\n' >"$work/broken.yml"
status=0
timeout 20 $SUT serve "$work/broken.yml" >"$work/broken.out" 2>"$work/broken.err" || status=$?
check_equal 'broken YAML ends with exit status 1' "$status" 1

start_registry sut "$SUT" "$work/sut"
port=${sut_host##*:}
status=0
timeout 20 $SUT serve "$work/sut.yml" >"$work/taken.out" 2>"$work/taken.err" || status=$?
check_equal 'a port in use ends with exit status 1' "$status" 1
check_contains 'the message names the port' "$(cat "$work/taken.err")" "$port"
stop "$sut_pid"

# The configuration that Debian ships with docker-registry, moved to loopback and a folder of our own by the environment.
if [ -f /etc/docker/registry/config.yml ]; then
  mkdir "$work/shipped"
  port=$(free_port)
  REGISTRY_HTTP_ADDR=127.0.0.1:$port REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=$work/shipped REGISTRY_AUTH= \
    $SUT serve /etc/docker/registry/config.yml >"$work/shipped.log" 2>&1 &
  own_pids[$!]=shipped
  if wait_for 20 curl -sf "http://127.0.0.1:$port/v2/"; then
    ok 'the environment overrides a file'
    echo content >"$work/blob"
    check 'the registry so configured takes a push' push_blob "http://127.0.0.1:$port" a/b "$work/blob"
    check 'it writes where the environment says' test -d "$work/shipped/docker/registry/v2/blobs"
  else
    not_ok 'the environment overrides a file' "$(cat "$work/shipped.log")"
  fi
fi
